"""Ends event streams when the process is told to stop. HTTP layer.

uvicorn waits for open connections before it lets the app shut down, and an event stream never ends by itself:
without this, Ctrl+C would hang for as long as a page is open.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

# SIGBREAK is Ctrl+Break, how a console program is stopped on Windows (not tested on Windows).
_STOP_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name)
)


@contextlib.contextmanager
def on_stop_signal(action: Callable[[], None]) -> Iterator[None]:
    """Call `action` on the running loop when a stop signal comes, before the handler that was there.

    Off the main thread (an app inside a test or another program) signals cannot be watched: nothing happens.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in _STOP_SIGNALS}

    def stop(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(action)
        previous = before[signal.Signals(number)]
        if callable(previous):
            previous(number, frame)

    watched = [number for number, handler in before.items() if callable(handler)]
    for number in watched:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in watched:
            if signal.getsignal(number) is stop:
                signal.signal(number, before[number])
