"""The program of every worker process: `python host.py --handler workers.draft.handler`. Worker process.

Standard library only, Python 3.10 or newer, also under `python -I`. Messages of the service come in by
a reader thread, tasks run one at a time on the main thread (engines and CUDA expect that), a pulse
thread sends heartbeats. Stderr is the log pipe: tracebacks and everything that is printed go there.
"""

from __future__ import annotations

import sys
from pathlib import Path

# Isolated and embeddable interpreters do not put the script's folder on sys.path, others put
# workers/ itself there, where `handler` or `draft` could shadow a library: the root replaces it.
_ROOT = Path(__file__).resolve().parent.parent
sys.path[:] = [str(_ROOT)] + [
    entry for entry in sys.path if Path(entry or ".").resolve() != _ROOT / "workers"
]

import argparse  # noqa: E402  (sys.path first)
import contextlib  # noqa: E402
import faulthandler  # noqa: E402
import importlib  # noqa: E402
import os  # noqa: E402
import platform  # noqa: E402
import queue  # noqa: E402
import secrets  # noqa: E402
import threading  # noqa: E402
import time  # noqa: E402
import traceback  # noqa: E402
from collections.abc import Sequence  # noqa: E402
from typing import Any  # noqa: E402

from workers.channel import Channel, ProtocolViolationError, claim_standard_streams  # noqa: E402
from workers.context import HostContext  # noqa: E402
from workers.failures import error_fields  # noqa: E402
from workers.handler import Handler, Task, TaskCancelled, TaskError, WorkerSetup  # noqa: E402
from workers.messages import (  # noqa: E402
    CANCELLED,
    DRAIN_PREFIX,
    EXIT_OK,
    EXIT_PARENT_GONE,
    EXIT_PROTOCOL,
    EXIT_START_FAILED,
    PROTOCOL_VERSION,
)
from workers.vitals import die_with_parent, is_orphan, rss_mib, vram_mib  # noqa: E402

WORKER_VERSION = "1"
_CAPABILITIES = ["cancel", "unload"]
_READY_FIELDS = ("engine_version", "torch", "cuda", "devices", "models")
_MIN_HEARTBEAT_S = 0.05  # a faster pulse would be a busy loop

# What the reader thread hands to the main thread: a task, or one of these words.
_UNLOAD = "unload"
_SHUTDOWN = "shutdown"


class WorkerHost:
    """Owns the channel and the handler of this process."""

    def __init__(self, channel: Channel, handler_name: str) -> None:
        self._channel = channel
        self._handler_name = handler_name
        self._inbox: queue.SimpleQueue[HostContext | str] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._current: HostContext | None = None
        self._ready = False
        self._state = "importing"
        self._model: str | None = None
        self._parent_pid = 0
        self._heartbeat_s = 2.0
        self._wake_pulse = threading.Event()
        self._load_s = 0.0

    def serve(self) -> int:
        """Live from `init` to `shutdown`; the return value is the exit status."""
        messages = self._channel.messages()
        try:
            first = next(messages, None)
        except ProtocolViolationError as error:
            return self._fatal("protocol_mismatch", str(error), EXIT_PROTOCOL)
        if first is None:
            return EXIT_PARENT_GONE
        if first["type"] != "init" or first["protocol"] != PROTOCOL_VERSION:
            found = first.get("protocol", first["type"])
            return self._fatal(
                "protocol_mismatch", f"expected init of version 1, got {found!r}", EXIT_PROTOCOL
            )
        self._parent_pid = int(first["parent_pid"])
        self._heartbeat_s = max(_MIN_HEARTBEAT_S, float(first["heartbeat_s"]))
        if not die_with_parent(self._parent_pid):
            return EXIT_PARENT_GONE
        self._channel.send(
            "hello",
            protocol=PROTOCOL_VERSION,
            worker_version=WORKER_VERSION,
            pid=os.getpid(),
            python=platform.python_version(),
            platform=sys.platform,
            capabilities=_CAPABILITIES,
        )
        threading.Thread(target=self._read, args=(messages,), name="protocol-reader", daemon=True).start()
        threading.Thread(target=self._pulse, name="protocol-pulse", daemon=True).start()
        try:
            handler = self._load(first)
        except BaseException as error:  # noqa: BLE001  whatever foreign code raises, the service hears of it
            _write_log(traceback.format_exc())
            return self._start_failed(error)
        return self._work(handler)

    # --- start ---------------------------------------------------------------------------------

    def _load(self, init: dict[str, Any]) -> Handler:
        started = time.monotonic()
        setup = _setup_from(init)
        self._change_state("importing")
        module = importlib.import_module(self._handler_name)
        handler: Handler = module.create_handler()
        self._change_state("loading")
        known = dict(handler.load(setup) or {})
        self._load_s = time.monotonic() - started
        with self._lock:
            self._ready = True
            self._state = "idle"
        self._channel.send(
            "ready",
            **{name: known.pop(name, None) for name in _READY_FIELDS},
            load_s=round(self._load_s, 3),
            data=known,
        )
        return handler

    def _start_failed(self, error: BaseException) -> int:
        fields = error_fields(error)
        code = "import_failed" if fields["code"] == "internal_error" else fields["code"]
        return self._fatal(code, fields["message"], EXIT_START_FAILED, detail=fields["detail"])

    def _fatal(self, code: str, message: str, status: int, *, detail: str = "") -> int:
        self._channel.send("fatal", code=code, message=message, detail=detail)
        return status

    # --- main thread: tasks --------------------------------------------------------------------

    def _work(self, handler: Handler) -> int:
        while True:
            item = self._inbox.get()
            if item == _SHUTDOWN:
                self._channel.send("bye", reason="shutdown")
                return EXIT_OK
            if isinstance(item, HostContext):
                self._run(handler, item)
            elif item == _UNLOAD:
                self._change_state("unloading")
                try:
                    handler.unload()
                except Exception:  # noqa: BLE001  an unload that fails is logged; the process still serves
                    _write_log(traceback.format_exc())
                self._model = None
                self._change_state("idle")

    def _run(self, handler: Handler, context: HostContext) -> None:
        task = context.task
        self._model = task.model
        self._channel.send("accepted", job_id=task.job_id, attempt=task.attempt)
        self._change_state("cancelling" if context.cancelled else "running")
        started = time.monotonic()
        error: dict[str, Any] | None = None
        data: dict[str, Any] = {}
        try:
            context.raise_if_cancelled()
            data = handler.run(task, context)
            if not isinstance(data, dict):
                raise TypeError(f"run() returned {type(data).__name__}, not a dict")
        except TaskCancelled:
            error = error_fields(TaskError(CANCELLED if context.cancelled else "internal_error", ""))
        except BaseException as failure:  # noqa: BLE001  the boundary: every failure becomes a result
            _write_log(traceback.format_exc())
            error = error_fields(failure)
        self._send_result(context, error, data, time.monotonic() - started)

    def _send_result(
        self, context: HostContext, error: dict[str, Any] | None, data: dict[str, Any], run_s: float
    ) -> None:
        context.flush_progress()
        fields: dict[str, Any] = {
            "job_id": context.task.job_id,
            "attempt": context.task.attempt,
            "ok": error is None,
            "error": error,
            "data": {} if error else data,
            "metrics": {
                "load_s": round(self._load_s, 3),
                "run_s": round(run_s, 3),
                "peak_vram_mib": vram_mib()[1],
            },
            "drain": _mark_log(),
        }
        # Idle *before* the result leaves: the service may answer it with the next `run` at once.
        with self._lock:
            self._current = None
            self._state = "idle"
        try:
            self._channel.send("result", **fields)
        except (TypeError, ValueError, RecursionError) as failure:
            detail = f"the result cannot be sent: {failure}"
            problem = TaskError("internal_error", "", detail=detail)
            self._channel.send(
                "result", **{**fields, "ok": False, "data": {}, "error": error_fields(problem)}
            )
        self._channel.send("state", state="idle", model=self._model)

    def _change_state(self, state: str) -> None:
        with self._lock:
            self._state = state
        self._channel.send("state", state=state, model=self._model)

    # --- reader thread -------------------------------------------------------------------------

    def _read(self, messages: Any) -> None:
        try:
            for message in messages:
                self._receive(message)
        except (ProtocolViolationError, KeyError, TypeError, ValueError) as error:
            self._channel.send("fatal", code="protocol_mismatch", message=str(error), detail="")
            os._exit(EXIT_PROTOCOL)
        except OSError:  # the engine closed our descriptor: as deaf as after end of file
            _write_log(traceback.format_exc())
        # End of file: the service is gone. The main thread may be deep in native code, so no clean-up.
        os._exit(EXIT_PARENT_GONE)

    def _receive(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "run":
            context = HostContext(self._channel, _task_from(message), self._wake_pulse)
            with self._lock:
                if not self._ready or self._current is not None:
                    raise ProtocolViolationError("run while not idle")
                # Set here and not on the main thread: a cancel that follows at once must find it.
                self._current = context
            self._inbox.put(context)
        elif kind == "cancel":
            self._cancel(message)
        elif kind == "ping":
            self._channel.send("pong", nonce=message["nonce"])
        elif kind == "unload":
            self._inbox.put(_UNLOAD)
        elif kind == "shutdown":
            with self._lock:
                idle = self._ready and self._current is None
            if idle:
                self._inbox.put(_SHUTDOWN)
            else:  # finish nothing: the attempt is lost on purpose
                self._channel.send("bye", reason="shutdown")
                os._exit(EXIT_OK)
        elif kind == "init":
            raise ProtocolViolationError("init came twice")
        else:
            _write_log(f"worker host: unknown message type {kind!r} ignored\n")

    def _cancel(self, message: dict[str, Any]) -> None:
        with self._lock:
            current = self._current
            if current is None or not current.names(message["job_id"], message["attempt"]):
                return  # a late cancel must not hit the next task
            current.cancel()
            if self._state == "running":
                self._state = "cancelling"
        self._channel.send("state", state="cancelling", model=self._model)

    # --- pulse thread --------------------------------------------------------------------------

    def _pulse(self) -> None:
        beat_at = time.monotonic()
        while True:
            with self._lock:
                current = self._current
            held_s = current.flush_progress(only_due=True) if current else None
            now = time.monotonic()
            if now >= beat_at:
                if is_orphan(self._parent_pid):
                    os._exit(EXIT_PARENT_GONE)
                used, peak = vram_mib()
                rss = rss_mib()
                # Last of all: measuring may take long, and a beat should tell the state of now.
                with self._lock:
                    current, state = self._current, self._state
                self._channel.send(
                    "heartbeat",
                    state=state,
                    job_id=current.task.job_id if current else None,
                    rss_mib=rss,
                    vram_used_mib=used,
                    vram_peak_mib=peak,
                    quiet_s=round(now - current.active_at, 1) if current else 0.0,
                )
                beat_at = now + self._heartbeat_s
            if held_s is not None:
                time.sleep(held_s)
                continue
            self._wake_pulse.wait(max(0.0, beat_at - time.monotonic()))
            self._wake_pulse.clear()


def _mark_log() -> str:
    """Write a fresh drain token to the log pipe and return it."""
    token = secrets.token_hex(16)
    for stream in (sys.stdout, sys.stderr):
        # Engines replace these by objects of their own, close them, or set them to None.
        with contextlib.suppress(AttributeError, OSError, ValueError):
            stream.flush()
    _write_log(f"\n{DRAIN_PREFIX}{token}\n")
    return token


def _write_log(text: str) -> None:
    """Write to the log pipe itself: `sys.stderr` belongs to the engine."""
    data = text.encode("utf-8", "backslashreplace")
    with contextlib.suppress(OSError):  # the engine closed descriptor 2: there is no log any more
        while data:
            data = data[os.write(2, data) :]


def _setup_from(init: dict[str, Any]) -> WorkerSetup:
    dirs = {name: Path(init["dirs"][name]) for name in ("work", "models", "cache")}
    for path in dirs.values():
        path.mkdir(parents=True, exist_ok=True)
    engine_root = Path(init["engine_root"]) if init["engine_root"] else None
    if engine_root is not None:
        sys.path.insert(1, str(engine_root))  # after our own root, before everything installed
    return WorkerSetup(
        engine=str(init["engine"]),
        engine_root=engine_root,
        work_dir=dirs["work"],
        models_dir=dirs["models"],
        cache_dir=dirs["cache"],
        device=init["device"],
        options=dict(init["options"]),
    )


def _task_from(message: dict[str, Any]) -> Task:
    return Task(
        job_id=str(message["job_id"]),
        attempt=int(message["attempt"]),
        task=str(message["task"]),
        model=message["model"],
        inputs={name: Path(path) for name, path in message["inputs"].items()},
        params=dict(message["params"]),
        output_dir=Path(message["output_dir"]),
        seed=int(message["seed"]),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; the protocol leaves stdin and stdout before anything else happens."""
    incoming, outgoing = claim_standard_streams()
    faulthandler.enable()
    parser = argparse.ArgumentParser(description="Host of one engine worker; started by the service.")
    parser.add_argument("--handler", required=True, help="dotted module with create_handler()")
    options = parser.parse_args(arguments)
    return WorkerHost(Channel(incoming, outgoing), options.handler).serve()


if __name__ == "__main__":
    sys.exit(main())
