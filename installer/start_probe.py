"""Starts Wan2GP once, the way its worker does, and says how that went. Runs in the engine's own Python, as a file.

In: the program's folder, a private folder for its settings. Out: a line of JSON after MARK, the last thing that is
written. Nothing of ours is imported; no weights are loaded, and the settings name an empty folder for them, because the
program tidies up the folders that it knows.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any

MARK = "all-in-one:"
_CONFIG = "wgp_config.json"
_KEPT = 4_000


def start(root: Path, private: Path) -> dict[str, Any]:
    """What can be said about the program in `root`."""
    facts: dict[str, Any] = {"version": None, "models": None, "seconds": None, "error": None, "output": ""}
    config = private / _CONFIG
    weights = private / "weights"
    weights.mkdir(parents=True, exist_ok=True)
    config.write_text(
        json.dumps(
            {
                "checkpoints_paths": [str(weights)],
                "loras_root": str(private / "loras"),
                "save_path": str(private / "outputs"),
                "image_save_path": str(private / "outputs"),
                "audio_save_path": str(private / "outputs"),
                "attention_mode": "sdpa",
                "enhancer_enabled": 0,
                "enabled_plugins": [],
                "preload_model_policy": [],
            }
        ),
        encoding="utf-8",
    )
    sys.path.insert(0, str(root))
    os.chdir(root)
    began = time.monotonic()
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            session = importlib.import_module("shared.api").init(
                root=root,
                config_path=config,
                output_dir=private / "outputs",
                console_output=False,
                console_isatty=False,
                cli_args=("--attention", "sdpa"),
            )
            facts["models"] = len(session.list_model_metadata())
        facts["version"] = str(sys.modules["wgp"].WanGP_version)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever foreign code raises is the answer
        facts["error"] = _told(error)[:_KEPT]
        facts["output"] = said.getvalue()[-_KEPT:]
    facts["seconds"] = round(time.monotonic() - began, 1)
    return facts


def _told(error: BaseException) -> str:
    """The error with its place, and what lies at its root: libraries hide a missing package behind their own words."""
    root = error
    while (cause := root.__cause__ or root.__context__) is not None:
        root = cause
    where = traceback.extract_tb(root.__traceback__)[-1:]
    place = f" ({Path(where[0].filename).name}:{where[0].lineno})" if where else ""
    said = f"{type(root).__name__}: {root}{place}"
    return said if root is error else f"{type(error).__name__}: {error} - because of {said}"


if __name__ == "__main__":
    result = start(Path(sys.argv[1]), Path(sys.argv[2]))
    os.write(1, f"\n{MARK}{json.dumps(result)}\n".encode())
    # Threads of the program must not keep the process.
    os._exit(0)
