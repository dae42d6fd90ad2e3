"""Upstream, initialised once in this process. Runs in the wan2gp worker; the only module that imports upstream.

Flow: `start_engine` prepares the process, writes our configuration and calls `shared.api.init`, which imports some six
thousand modules and loads no weights. The first generation loads a model; it stays loaded until another one is asked
for or `close` is called. Upstream's runtime is one per process; a session is only a view of it, and a new one per folder
of output keeps upstream's endless list of files short and lets what a killed process leaves die with its attempt.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workers.handler import TaskError, WorkerSetup
from workers.wan2gp.config import write_config
from workers.wan2gp.environment import KeptEnvironment, kept_process, provide_tools, shut_the_network
from workers.wan2gp.failures import start_failure
from workers.wan2gp.surface import Init, Job, Session

_INSTALLER = "Run install_wan2gp; it repairs what is missing."


class Engine:
    """The one upstream of this process. Used by one task at a time, on the main thread."""

    def __init__(
        self, init: Init, *, root: Path, config_path: Path, environment: KeptEnvironment, folder: Path
    ) -> None:
        """Calls upstream's `init`; `folder` is where the first session writes. Raises what upstream raises."""
        self._init = init
        self._root = root
        self._config_path = config_path
        self._environment = environment
        self._folder: Path | None = None
        self._session = self._open(folder)
        self._job: Job | None = None
        # Seconds spent on loading models, in all; the task tells them apart from the work.
        self.load_s = 0.0

    def submit(self, settings: Mapping[str, Any], folder: Path) -> Job:
        """Start one generation that writes into `folder`.

        Raises TaskError when upstream does not know the model or an earlier generation still runs, and what upstream
        raises for settings that it cannot even read.
        """
        if self._job is not None and not self._job.done:
            raise TaskError(
                "internal_error",
                "Wan2GP is still busy with an earlier job. The engine was restarted.",
                detail="the job of an earlier generation is not done",
                poisons_worker=True,
            )
        if self._folder != folder:
            self._session = self._open(folder)
        model_type = str(settings.get("model_type") or "")
        if self._session.get_model_def(model_type) is None:
            raise TaskError(
                "engine_not_installed",
                "The installed Wan2GP does not know this model. Run install_wan2gp again to update it.",
                detail=f"unknown model type {model_type!r}",
            )
        self._job = self._session.submit_task(dict(settings))
        return self._job

    def settle(self) -> None:
        """After a generation: put back what imports on the way have changed."""
        self._environment.restore()

    def close(self) -> None:
        """Release the loaded model and its memory; the next generation loads it again."""
        self._session.close()

    def _open(self, folder: Path) -> Session:
        session = self._init(
            root=self._root,
            config_path=self._config_path,
            output_dir=folder,
            cli_args=(),
            console_output=False,
            console_isatty=False,
        )
        self._folder = folder
        return session


def start_engine(setup: WorkerSetup) -> Engine:
    """Import and initialise upstream. Raises TaskError(engine_not_installed, import_failed, gpu_unsupported, …)."""
    root = _root_of(setup)
    shut_the_network()
    environment = KeptEnvironment()
    provide_tools(root)
    options = setup.options
    folder = options.get("config_dir")
    config_path = write_config(
        options,
        Path(str(folder)) if folder else setup.cache_dir / "wan2gp" / "config",
        root=root,
        models_dir=setup.models_dir,
    )
    # Upstream's packages have everyday names (shared, models, plugins): nothing may stand before them.
    sys.path[:] = [str(root), *(entry for entry in sys.path if Path(entry or ".").resolve() != root)]
    try:
        with kept_process():
            api: Any = importlib.import_module("shared.api")
            return Engine(
                api.init,
                root=root,
                config_path=config_path,
                environment=environment,
                folder=(setup.work_dir / "wan2gp").resolve(),
            )
    except SystemExit as error:
        # Upstream ends the process, with status 0, when one of its packages has another version than it wants.
        raise TaskError(
            "import_failed",
            f"A package of Wan2GP has the wrong version. {_INSTALLER}",
            detail=f"upstream left with status {error.code!r}; its reason is in the log",
            poisons_worker=True,
        ) from error
    except MemoryError:
        raise
    except Exception as error:  # a broken environment breaks in many ways
        raise start_failure(error) from error
    finally:
        environment.restore()


def version_of_upstream() -> str:
    """The version of the imported upstream, as it calls itself."""
    return str(getattr(sys.modules.get("wgp"), "WanGP_version", "unknown"))


def _root_of(setup: WorkerSetup) -> Path:
    root = setup.engine_root
    if root is None or not (root / "wgp.py").is_file() or not (root / "shared" / "api.py").is_file():
        raise TaskError(
            "engine_not_installed",
            f"Wan2GP is not installed. {_INSTALLER}",
            detail=f"no wgp.py or shared/api.py in {root}",
        )
    return root.resolve()
