"""A helper of the InfiniteTalk worker: one further GPU that takes its share of every pass. A process of its own.

`python -m workers.infinitetalk.rank SPEC`, SPEC in JSON: rank, ranks, store (file where they meet), device
(`cpu` or `cuda`), models_dir, threads. Commands come on stdin, a JSON object a line; what happened is said on
stdout the same way. When stdin ends the worker has gone or has had enough: the process ends at once, also out
of a message that nobody will answer.

| command | does | says |
|---|---|---|
| (start) | finds its card, meets the others | `{"here": …}` before, `{"met": true}` after |
| `load` | the transformer as rank 0 has it | `{"loaded": true}` |
| `share` | its run of the tokens is agreed on, by all at once | nothing |
| `pass` | receives, calculates, keeps nothing | nothing |

An error is said as `{"failed": code, "sentence": …, "detail": …}`, and is the end.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

from workers.channel import claim_standard_streams
from workers.handler import TaskError


class Helper:
    """The commands' side of the process."""

    def __init__(self, spec: dict[str, Any]) -> None:
        import torch

        from workers.infinitetalk import machine
        from workers.infinitetalk.model_folder import ModelFolder

        torch.set_num_threads(int(spec["threads"]))
        if spec["device"] != "cpu":
            torch.cuda.set_device(int(spec["rank"]))
        self._device = machine.device_of(spec["device"])
        self._folder = ModelFolder(Path(spec["models_dir"]))
        self._rank, self._ranks = int(spec["rank"]), int(spec["ranks"])
        self._store = Path(spec["store"])
        self._transformer: Any = None
        self._cache: Any = None

    def here(self) -> dict[str, Any]:
        from workers.infinitetalk import machine

        return {"here": True, "free_vram": machine.free_vram(self._device)}

    def meet(self) -> dict[str, Any]:
        from workers.infinitetalk import parallel

        parallel.meet(self._store, self._rank, self._ranks, self._device)
        return {"met": True}

    def do(self, command: dict[str, Any]) -> dict[str, Any] | None:
        """One command. Raises whatever goes wrong."""
        if command["do"] == "load":
            return self._load(command)
        if command["do"] == "share":
            self._share()
        else:
            self._pass(command)
        return None

    def _load(self, command: dict[str, Any]) -> dict[str, Any]:
        from workers.infinitetalk import machine
        from workers.infinitetalk.models import built

        self._transformer = None
        self._transformer = built(
            self._folder,
            command["adapter"],
            command["lora"],
            (command["placement"], command["storage"]),
            machine.numbers_of(self._device),
            self._device,
        )
        return {"loaded": True}

    def _share(self) -> None:
        from workers.infinitetalk import parallel

        parallel.share(self._transformer, self._ranks)

    def _pass(self, command: dict[str, Any]) -> None:
        import torch

        from workers.infinitetalk import parallel
        from workers.infinitetalk.cache import cache_like
        from workers.infinitetalk.guidance import Branch

        inputs = parallel.receive(command["inputs"], self._device)
        told = command["cache"]
        if told["fresh"]:
            self._cache = cache_like(told["settings"])
        with torch.no_grad(), self._cache.branch(Branch(told["branch"]), told["step"]) as around:
            self._transformer(**inputs, around_blocks=around, return_dict=False)


def main() -> None:
    incoming, outgoing = claim_standard_streams()
    commands: queue.Queue[dict[str, Any]] = queue.Queue()

    def listen() -> None:
        with os.fdopen(incoming, encoding="ascii") as lines:
            for line in lines:
                commands.put(json.loads(line))
        os._exit(0)

    def say(message: dict[str, Any]) -> None:
        os.write(outgoing, (json.dumps(message) + "\n").encode("ascii"))

    threading.Thread(target=listen, daemon=True).start()
    try:
        helper = Helper(json.loads(sys.argv[1]))
        say(helper.here())
        say(helper.meet())
        while True:
            answer = helper.do(commands.get())
            if answer is not None:
                say(answer)
    except BaseException as error:  # noqa: BLE001  said to rank 0, which raises it there
        traceback.print_exc()
        say(_failure(error))
        # Not through the library's own farewell: it waits for ranks that may be waiting for this one.
        os._exit(1)


def _failure(error: BaseException) -> dict[str, Any]:
    from workers.infinitetalk.handler import memory_failure

    known = error if isinstance(error, TaskError) else memory_failure(error)
    if known is None:
        return {"failed": "internal_error", "sentence": None, "detail": f"{type(error).__name__}: {error}"}
    return {"failed": known.code, "sentence": known.message, "detail": known.detail}


if __name__ == "__main__":
    main()
