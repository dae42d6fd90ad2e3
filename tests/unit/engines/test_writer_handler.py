"""The writer worker's task, with a model that is a script: what grows, what is told, how it is stopped."""

from __future__ import annotations

import json
import sys
import threading
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from workers.handler import Task, TaskCancelled, TaskError, WorkerSetup
from workers.writer.handler import WriterHandler, create_handler

Answer = Callable[[dict[str, Any], Callable[[Any], bool]], None]


class Context:
    """A TaskContext that remembers; `cancel_at` asks to stop when so many bytes were told."""

    def __init__(self, cancel_at: int | None = None) -> None:
        self.steps: list[int] = []
        self.messages: list[str] = []
        self.artifacts: dict[str, Path] = {}
        self.cancelled = False
        self._cancel_at = cancel_at

    def progress(
        self, fraction: float | None, message: str = "", *, step: int | None = None, **_: Any
    ) -> None:
        assert fraction is None, "only the service knows how long the text shall be"
        self.messages.append(message)
        if step is not None:
            self.steps.append(step)
            self.cancelled = self.cancelled or (self._cancel_at is not None and step >= self._cancel_at)

    def artifact(self, role: str, path: Path, **_: Any) -> None:
        self.artifacts[role] = path

    def log(self, level: str, message: str) -> None: ...

    def raise_if_cancelled(self) -> None:
        if self.cancelled:
            raise TaskCancelled


class Llama:
    """Stands for the package: its servers answer as the test says."""

    def __init__(self) -> None:
        self.answer: Answer = says("Tea.")
        self.loaded: list[Any] = []
        self.asked: list[dict[str, Any]] = []
        self.loading = threading.Event()
        self.loading.set()
        self.broken = False

    def module(self) -> types.ModuleType:
        llama = self
        made = types.ModuleType("xllamacpp")

        class Params(types.SimpleNamespace):
            def __init__(self) -> None:
                parts = ("model", "cpuparams", "cpuparams_batch")
                super().__init__(**{part: types.SimpleNamespace() for part in parts})

        class Server:
            def __init__(self, params: Any) -> None:
                llama.loading.wait(30)
                if llama.broken:
                    raise RuntimeError("Failed to init server")
                llama.loaded.append(params)

            def handle_chat_completions(self, request: dict[str, Any], heard: Callable[[Any], bool]) -> None:
                llama.asked.append(request)
                llama.answer(request, heard)

        made.CommonParams = Params  # type: ignore[attr-defined]
        made.Server = Server  # type: ignore[attr-defined]
        return made


def says(*pieces: str, reason: str = "stop") -> Answer:
    def answer(_request: dict[str, Any], heard: Callable[[Any], bool]) -> None:
        for piece in pieces:
            if heard({"choices": [{"delta": {"content": piece}, "finish_reason": None}]}):
                return
        heard({"choices": [{"delta": {}, "finish_reason": reason}]})

    return answer


@pytest.fixture
def llama(monkeypatch: pytest.MonkeyPatch) -> Llama:
    made = Llama()
    # What `load` sets is for its own process.
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    monkeypatch.setitem(sys.modules, "xllamacpp", made.module())
    return made


@pytest.fixture
def handler(llama: Llama, tmp_path: Path) -> WriterHandler:
    made = create_handler()
    ready = made.load(WorkerSetup("writer", None, tmp_path, tmp_path, tmp_path, None, {"threads": 3}))
    assert ready["models"] == []
    assert ready["engine_version"].startswith("xllamacpp ")
    return made


def task(folder: Path, name: str = "a", *, model: str = "m.gguf") -> Task:
    out = folder / name
    out.mkdir()
    request = folder / f"{name}.json"
    body = {"messages": [{"role": "user", "content": "茶"}], "max_tokens": 64}
    request.write_text(json.dumps(body), encoding="utf-8")
    path = folder / model
    if not path.exists() and "missing" not in model:
        path.write_bytes(b"GGUF")
    inputs = {"request": request, "model": path}
    return Task("job_x", 1, "script_write", None, inputs, {}, out, 7)


def test_the_text_grows_in_its_file_and_is_handed_over(
    handler: WriterHandler, llama: Llama, tmp_path: Path
) -> None:
    llama.answer = says("茶是", "", "安静的。", reason="length")
    context = Context()
    data = handler.run(task(tmp_path), context)
    assert data == {"characters": 6, "finish": "length"}
    assert context.artifacts["text"].read_text("utf-8") == "茶是安静的。"
    # Bytes that are complete: two and six characters of three bytes each.
    assert context.steps == [6, 18]
    (asked,) = llama.asked
    assert (asked["max_tokens"], asked["seed"], asked["stream"]) == (64, 7, True)
    assert asked["messages"] == [{"role": "user", "content": "茶"}]


def test_the_model_is_kept_for_the_next_task_and_replaced_by_another(
    handler: WriterHandler, llama: Llama, tmp_path: Path
) -> None:
    handler.run(task(tmp_path, "a"), Context())
    handler.run(task(tmp_path, "b"), Context())
    assert len(llama.loaded) == 1
    handler.run(task(tmp_path, "c", model="other.gguf"), Context())
    assert [Path(params.model.path).name for params in llama.loaded] == ["m.gguf", "other.gguf"]
    handler.unload()
    handler.run(task(tmp_path, "d", model="other.gguf"), Context())
    assert len(llama.loaded) == 3


def test_its_port_is_closed_to_everybody(handler: WriterHandler, llama: Llama, tmp_path: Path) -> None:
    handler.run(task(tmp_path, "a"), Context())
    handler.unload()
    handler.run(task(tmp_path, "b"), Context())
    first, second = llama.loaded
    assert (first.hostnames, first.port, first.ui) == (["127.0.0.1"], 0, False)
    assert len(first.api_keys[0]) > 30
    assert first.api_keys != second.api_keys
    assert first.cors_origins != "*"
    assert first.cpuparams.n_threads == 3
    assert first.cache_ram_mib == 0


def test_a_cancel_while_it_writes_stops_the_model(
    handler: WriterHandler, llama: Llama, tmp_path: Path
) -> None:
    stopped = threading.Event()

    def endless(_request: dict[str, Any], heard: Callable[[Any], bool]) -> None:
        while not heard({"choices": [{"delta": {"content": "a"}}]}):
            pass
        stopped.set()

    llama.answer = endless
    with pytest.raises(TaskCancelled):
        handler.run(task(tmp_path), Context(cancel_at=5))
    assert stopped.wait(30)
    llama.answer = says("Tea.")
    assert handler.run(task(tmp_path, "b"), Context())["characters"] == 4


def test_a_cancel_while_it_reads_the_prompt_is_not_kept_waiting(
    handler: WriterHandler, llama: Llama, tmp_path: Path
) -> None:
    go = threading.Event()
    context = Context()

    def silent(_request: dict[str, Any], heard: Callable[[Any], bool]) -> None:
        context.cancelled = True
        go.wait(30)
        heard({"choices": [{"delta": {"content": "late"}}]})

    llama.answer = silent
    with pytest.raises(TaskCancelled):
        handler.run(task(tmp_path), context)
    assert not go.is_set()
    # The next task waits for the place and does not hear the late word.
    go.set()
    llama.answer = says("Tea.")
    after = Context()
    handler.run(task(tmp_path, "b"), after)
    assert after.artifacts["text"].read_text() == "Tea."


def test_a_cancel_while_the_model_loads_lets_it_load_for_the_next(
    handler: WriterHandler, llama: Llama, tmp_path: Path
) -> None:
    llama.loading.clear()
    context = Context()
    context.cancelled = True
    with pytest.raises(TaskCancelled):
        handler.run(task(tmp_path), context)
    llama.loading.set()
    assert handler.run(task(tmp_path, "b"), Context())["characters"] == 4
    assert len(llama.loaded) == 1


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (says(), "no_output"),
        (says(""), "no_output"),
        (lambda _request, heard: heard({"error": {"message": "context is full"}}), "internal_error"),
        (lambda _request, _heard: (_ for _ in ()).throw(ValueError("bad")), "internal_error"),
        (lambda _request, _heard: None, "no_output"),
    ],
)
def test_what_goes_wrong_has_a_code(
    handler: WriterHandler, llama: Llama, tmp_path: Path, answer: Any, code: str
) -> None:
    def run(request: dict[str, Any], heard: Callable[[Any], bool]) -> None:
        result = answer(request, heard)
        if hasattr(result, "__next__"):
            next(result)

    llama.answer = run
    with pytest.raises(TaskError) as caught:
        handler.run(task(tmp_path), Context())
    assert caught.value.code == code


def test_a_file_that_is_no_model_is_one_that_is_missing_and_is_tried_again(
    handler: WriterHandler, llama: Llama, tmp_path: Path
) -> None:
    llama.broken = True
    for name in ("a", "b"):
        with pytest.raises(TaskError) as caught:
            handler.run(task(tmp_path, name), Context())
        assert caught.value.code == "model_missing"
    llama.broken = False
    assert handler.run(task(tmp_path, "c"), Context())["characters"] == 4
    with pytest.raises(TaskError) as caught:
        handler.run(task(tmp_path, "d", model="missing.gguf"), Context())
    assert caught.value.code == "model_missing"


def test_another_task_is_refused(handler: WriterHandler, tmp_path: Path) -> None:
    wrong = Task("job_x", 1, "speech", None, {}, {}, tmp_path, 0)
    with pytest.raises(TaskError) as caught:
        handler.run(wrong, Context())
    assert caught.value.code == "validation_failed"
