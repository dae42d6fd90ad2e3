"""The in-memory twin of the recogniser: what it makes of a sentence is written down beforehand."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable

from backend.engines.worker_types import (
    ProgressUpdate,
    TaskRequest,
    TaskResult,
    WorkerArtifact,
    WorkerSnapshot,
)


class TwinRecogniser:
    """`errors[sentence, n]`: the error when that sentence is heard for the n-th time, from 0; else all is understood."""

    def __init__(self, errors: dict[tuple[int, int], float]) -> None:
        self.errors = errors
        self.asked: list[list[int] | None] = []
        self.heard: Counter[int] = Counter()
        self.fails_at: dict[int, BaseException] = {}
        self.snapshot_value = WorkerSnapshot("listen", "idle")

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def warm(self) -> None: ...

    def snapshot(self) -> WorkerSnapshot:
        return self.snapshot_value

    async def run(
        self,
        request: TaskRequest,
        *,
        report: Callable[[ProgressUpdate], None] | None,
        cancelled: Callable[[], bool],
    ) -> TaskResult:
        assert request.task == "listen"
        assert request.inputs["audio"].is_file()
        wanted = request.params["sentences"]
        self.asked.append(wanted)
        if (error := self.fails_at.get(len(self.asked))) is not None:
            raise error
        if report is not None:
            report(ProgressUpdate(0.5, "Listening", "", None, None, None))
        rows = []
        for sentence in json.loads(request.inputs["timings"].read_text("utf-8"))["sentences"]:
            index = sentence["index"]
            if wanted is not None and index not in wanted:
                continue
            error_here = self.errors.get((index, self.heard[index]), 0.0)
            self.heard[index] += 1
            missing = ["sing"] if error_here else []
            rows.append({
                "index": index, "text": sentence["text"], "heard": "…", "error": error_here,
                "missing": missing, "ok": error_here <= 0.12,
            })  # fmt: skip
        path = request.output_dir / "heard.json"
        path.write_text(json.dumps({"version": 1, "sentences": rows}), encoding="utf-8")
        artifact = WorkerArtifact("heard", path, 1, "", "application/json", None, None, None, None)
        return TaskResult({}, (artifact,), {})
