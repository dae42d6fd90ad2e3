"""One GGUF chat model in llama.cpp, asked in this process. Worker process.

The wheel `xllamacpp` (MIT) carries llama.cpp (MIT) for all our systems and needs no compiler. Its server object also
opens a port on 127.0.0.1; a random key that nobody is told, and no foreign origin, keep everybody else out of it.
"""

from __future__ import annotations

import queue
import secrets
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workers.handler import TaskContext, TaskError

PACKAGE = "xllamacpp"

# Ten minutes of script in the slowest case take 2,500 tokens; twice that for the second request, and the prompt.
CONTEXT_TOKENS = 8192
# Warm enough to be lively, cool enough for a small model to stay on its topic.
_TEMPERATURE = 0.7
_TOP_P = 0.9
# Small models like to repeat themselves.
_REPEAT_PENALTY = 1.08
# How soon a cancel is seen while the model reads the prompt and calls nobody back.
_POLL_S = 0.1


@dataclass(frozen=True)
class Piece:
    """Some text, or (with `finish`) the reason of the end."""

    text: str = ""
    finish: str | None = None


class ChatModel:
    """The file at `path`, read into memory. Raises TaskError when that is not possible."""

    def __init__(self, path: Path, *, threads: int) -> None:
        import xllamacpp

        if not path.is_file():
            raise TaskError("model_missing", "The file of the writing model is not there.")
        self.path = path
        params = xllamacpp.CommonParams()
        params.model.path = str(path)
        params.n_ctx = CONTEXT_TOKENS
        params.n_parallel = 1
        params.cpuparams.n_threads = threads
        params.cpuparams_batch.n_threads = threads
        # Waiting threads sleep: spinning ones stand in the way of speech and picture.
        params.cpuparams.poll = 0
        params.cpuparams_batch.poll = 0
        # Old conversations are never continued; by default they may fill 8 GiB.
        params.cache_ram_mib = 0
        params.warmup = False
        params.verbosity = 1
        params.hostnames = ["127.0.0.1"]
        params.port = 0
        params.api_keys = [secrets.token_urlsafe(32)]
        params.cors_origins = "http://127.0.0.1"
        params.ui = False
        params.endpoint_slots = False
        try:
            self._server: Any = xllamacpp.Server(params)
        except RuntimeError as error:
            raise TaskError(
                "model_missing",
                "The file of the writing model cannot be used.",
                detail=str(error),
            ) from error
        self._busy: threading.Thread | None = None

    def answer(
        self, messages: Sequence[Mapping[str, str]], *, max_tokens: int, seed: int, context: TaskContext
    ) -> Iterator[Piece]:
        """The answer as it is made. Raises TaskCancelled at most 0.1 s after the service asked to stop."""
        if self._busy is not None:
            # A cancelled answer ends with its next word; two at once would only wait for each other.
            self._busy.join()
        request = {
            "messages": [dict(message) for message in messages],
            "max_tokens": max_tokens,
            "temperature": _TEMPERATURE,
            "top_p": _TOP_P,
            "repeat_penalty": _REPEAT_PENALTY,
            "seed": seed,
            "stream": True,
            "chat_template_kwargs": {"enable_thinking": False},
        }
        pieces: queue.SimpleQueue[Any] = queue.SimpleQueue()
        stop = threading.Event()
        self._busy = threading.Thread(
            target=_ask, args=(self._server, request, pieces, stop), name="llama", daemon=True
        )
        self._busy.start()
        try:
            yield from _read(pieces, context)
        finally:
            stop.set()

    def close(self) -> None:
        """Give the memory back."""
        if self._busy is not None:
            self._busy.join()
        self._server = None


_END = object()


def _ask(server: Any, request: dict[str, Any], pieces: queue.SimpleQueue[Any], stop: threading.Event) -> None:
    """On a thread: llama.cpp calls back for each token, and not at all while it reads the prompt."""

    def heard(chunk: Any) -> bool:
        pieces.put(chunk)
        return stop.is_set()

    try:
        server.handle_chat_completions(request, heard)
    except Exception as error:  # noqa: BLE001 - whatever it is, the waiting task is told
        pieces.put(error)
    pieces.put(_END)


def _read(pieces: queue.SimpleQueue[Any], context: TaskContext) -> Iterator[Piece]:
    while True:
        try:
            chunk = pieces.get(timeout=_POLL_S)
        except queue.Empty:
            context.raise_if_cancelled()
            continue
        context.raise_if_cancelled()
        if chunk is _END:
            return
        if isinstance(chunk, Exception):
            raise TaskError("internal_error", "The writing model failed.", detail=str(chunk)) from chunk
        if "error" in chunk:
            raise TaskError("internal_error", "The writing model failed.", detail=str(chunk["error"]))
        choice = chunk["choices"][0] if chunk.get("choices") else {}
        text = choice.get("delta", {}).get("content")
        if text:
            yield Piece(str(text))
        if choice.get("finish_reason"):
            yield Piece(finish=str(choice["finish_reason"]))
