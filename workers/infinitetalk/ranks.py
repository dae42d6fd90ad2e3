"""The worker's side of several GPUs: helper processes, and a transformer that is shared with them.

Flow: `Ranks` starts `python -m workers.infinitetalk.rank` for each further GPU -> all meet -> `load` everywhere ->
for each pass: the command to every helper's stdin, its tensors from rank 0 to all, the pass on all ranks at once.

Everything that waits has a deadline. A helper that fails says why and ends; what rank 0 is waiting for then fails
too, and the helper's reason is what is raised. When the worker ends, however it does, the helpers' stdin ends and
they end with it. Nothing stays open between tasks but the pipes; helpers keep their weights like the worker does.
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from workers.handler import TaskError
from workers.infinitetalk import parallel
from workers.infinitetalk.cache import BlockCache, settings_of
from workers.infinitetalk.guidance import Branch

_ROOT = Path(__file__).resolve().parents[2]
# Importing torch from a slow disk; meeting; reading 40 GB from one; ending.
_START_S = 300.0
_LOAD_S = 3600.0
_CLOSE_S = 10.0
# After a pass failed: how long a helper may take to say why.
_REASON_S = 5.0
_POLL_S = 0.2


class Helper:
    """One process and what it says."""

    def __init__(self, spec: Mapping[str, Any], on_end: Callable[[], None]) -> None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(_ROOT), *_paths()])}
        self._process = subprocess.Popen(  # noqa: S603  our own program, its arguments made here
            [sys.executable, "-m", "workers.infinitetalk.rank", json.dumps(spec)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=_ROOT,
            env=environment,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        self._said: queue.Queue[dict[str, Any]] = queue.Queue()
        self._on_end = on_end
        self._failure: dict[str, Any] | None = None
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def tell(self, command: Mapping[str, Any]) -> None:
        """Raises TaskError when the helper has gone."""
        try:
            if self._process.stdin is None:
                raise BrokenPipeError
            self._process.stdin.write((json.dumps(command) + "\n").encode("ascii"))
            self._process.stdin.flush()
        except (OSError, ValueError) as error:  # ValueError: closed from this side
            raise self.failure(_REASON_S) or _gone(error) from error

    def expect(self, word: str, deadline_s: float, check: Callable[[], None]) -> dict[str, Any]:
        """What it says next, which must be `word`. Raises TaskError, and what `check` raises."""
        until = time.monotonic() + deadline_s
        while True:
            check()
            try:
                said = self._said.get(timeout=_POLL_S)
            except queue.Empty:
                if time.monotonic() > until:
                    raise _gone(f"no {word!r} within {deadline_s:.0f} s") from None
                continue
            if word in said:
                return said
            raise self.failure(0.0) or _gone(f"{said} instead of {word!r}")

    def failure(self, wait_s: float) -> TaskError | None:
        """Why it ended; None while it lives."""
        self._listener.join(wait_s)
        if self._failure is None:
            return None if self._listener.is_alive() else _gone(f"ended with {self._process.poll()}")
        told = self._failure
        if told["sentence"] is None:
            return _gone(told["detail"])
        return TaskError(told["failed"], told["sentence"], detail=told["detail"], poisons_worker=True)

    def close(self) -> None:
        if self._process.stdin is not None:
            # It may be gone already.
            with suppress(OSError):
                self._process.stdin.close()
        try:
            self._process.wait(_CLOSE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._listener.join()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _listen(self) -> None:
        if self._process.stdout is not None:
            for line in self._process.stdout:
                said = json.loads(line)
                if "failed" in said:
                    self._failure = said
                self._said.put(said)
        self._said.put({"ended": True})
        self._on_end()


class Ranks:
    """Rank 0 of `count`, and the helpers. `close` ends them; a closed one is not used again."""

    def __init__(self, count: int, device: Any, models_dir: Path, check: Callable[[], None]) -> None:
        """Start and meet. Raises TaskError, and what `check` raises; then nothing is left behind."""
        self.count = count
        self._device = device
        self._closing = False
        self._folder = Path(tempfile.mkdtemp(prefix="infinitetalk-ranks-"))
        self._helpers: list[Helper] = []
        common = {
            "ranks": count,
            "store": str(self._folder / "store"),
            "device": device.type,
            "models_dir": str(models_dir),
            "threads": torch.get_num_threads(),
        }
        try:
            for rank in range(1, count):
                self._helpers.append(Helper({**common, "rank": rank}, self._on_end))
            here = [helper.expect("here", _START_S, check) for helper in self._helpers]
            parallel.meet(self._folder / "store", 0, count, device)
            for helper in self._helpers:
                helper.expect("met", _START_S, check)
        except BaseException:
            self.close()
            raise
        free = [said["free_vram"] for said in here if said["free_vram"] is not None]
        self.free_vram: int | None = min(free) if free else None

    @property
    def pids(self) -> list[int]:
        return [helper.pid for helper in self._helpers]

    def load(
        self,
        adapter: str,
        lora: str | None,
        placed: tuple[str, str],
        own: Callable[[], Any],
        check: Callable[[], None],
    ) -> SharedTransformer:
        """Load everywhere at once; `own` loads rank 0's. Raises TaskError, and what `own` and `check` raise.

        After an error the helpers are out of step: close.
        """
        for helper in self._helpers:
            command = {"do": "load", "adapter": adapter, "lora": lora}
            helper.tell({**command, "placement": placed[0], "storage": placed[1]})
        transformer = own()
        for helper in self._helpers:
            helper.expect("loaded", _LOAD_S, check)
        for helper in self._helpers:
            helper.tell({"do": "share"})
        parallel.share(transformer, self.count)
        return SharedTransformer(transformer, self)

    def begin(self, inputs: Mapping[str, Any], cache: Mapping[str, Any]) -> None:
        """All ranks are given the pass."""
        for helper in self._helpers:
            helper.tell({"do": "pass", "inputs": parallel.outline(inputs), "cache": cache})
        parallel.send(inputs)

    def failure(self) -> TaskError | None:
        """Why a helper ended, if one did."""
        reasons = (helper.failure(_REASON_S / len(self._helpers)) for helper in self._helpers)
        return next((reason for reason in reasons if reason is not None), None)

    def close(self) -> None:
        """End the helpers and leave the group."""
        self._closing = True
        if dist.is_available() and dist.is_initialized():
            _abort_nccl()
        for helper in self._helpers:
            helper.close()
        if dist.is_available() and dist.is_initialized():
            dist.destroy_process_group()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _on_end(self) -> None:
        """A helper ended while rank 0 may be waiting for it: gloo notices by itself, NCCL does not."""
        if not self._closing and dist.is_initialized():
            _abort_nccl()


class SharedTransformer:
    """Called like the transformer; every rank takes part."""

    def __init__(self, transformer: Any, ranks: Ranks) -> None:
        self.module = transformer
        self._ranks = ranks
        self._told: dict[str, Any] = {"settings": None, "fresh": True, "branch": "cond", "step": 0}

    def __call__(self, **inputs: Any) -> Any:
        """Raises the helper's error when one failed."""
        around, return_dict = inputs.pop("around_blocks", None), inputs.pop("return_dict", False)
        try:
            self._ranks.begin(inputs, self._told)
            self._told["fresh"] = False
            return self.module(**inputs, around_blocks=around, return_dict=return_dict)
        except RuntimeError as error:
            raise self._ranks.failure() or error from error

    def cache(self, own: BlockCache) -> SharedCache:
        """The same cache on all ranks; `own` is rank 0's."""
        self._told.update(settings=settings_of(own), fresh=True)
        return SharedCache(own, self._told)


class SharedCache:
    """A `BlockCache` of which every rank has one: what is asked of rank 0's is told to the others."""

    def __init__(self, own: BlockCache, told: dict[str, Any]) -> None:
        self._own = own
        self._told = told

    def start_window(self) -> None:
        self._own.start_window()
        self._told["fresh"] = True

    @contextmanager
    def branch(self, branch: Branch, step: int) -> Iterator[Any]:
        self._told.update(branch=branch.value, step=step)
        with self._own.branch(branch, step) as around:
            yield around


def _abort_nccl() -> None:
    """Let what waits for a rank that has gone fail now. PyTorch has no public name for it; not tested."""
    abort = getattr(dist.distributed_c10d, "_abort_process_group", None)
    if abort is not None and dist.get_backend() == "nccl":
        abort()


def _paths() -> list[str]:
    return [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]


def _gone(why: object) -> TaskError:
    return TaskError(
        "gpu_fault",
        "One of the GPUs that shared the work stopped. The finished windows are kept; start the job again.",
        detail=f"a helper process: {why}",
        poisons_worker=True,
    )
