"""The server of the demo: one that already runs, or a child process that ends with the demo.

Runs inside the virtual environment. The child is started on a free loopback port with the normal data
folder, so that the demo's video shows up in the library.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from launcher import ports
from launcher.client import ApiClient
from launcher.errors import Exit, LauncherError
from launcher.project import ROOT, child_environment, module_command

# The service answers in about two seconds; a cold disk under a virus scanner is given a minute.
START_TIMEOUT_S = 60.0
# Longer than the service takes to let its workers finish and stop them.
STOP_TIMEOUT_S = 20.0
_POLL_S = 0.1
_SHOWN_LINES = 12


def server_command(port: int) -> list[str]:
    """How the demo's server is started; it ends when its standard input ends."""
    options = ["--host", "127.0.0.1", "--port", str(port), "--ends-with-parent"]
    return module_command("launcher", "run", *options)


@contextlib.contextmanager
def own_server(
    log: Path, key: str | None, command_for: Callable[[int], Sequence[str]] = server_command
) -> Iterator[ApiClient]:
    """Start a server, yield a client once it answers, and stop it by its own process id afterwards."""
    port = ports.any_free_port()
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and arguments
            list(command_for(port)),
            cwd=ROOT,
            env=child_environment(),
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            **_own_group(),
        )
    try:
        client = ApiClient(f"http://127.0.0.1:{port}", key)
        _wait_until_alive(client, process, log)
        yield client
    finally:
        stop(process)


def _own_group() -> dict[str, Any]:
    """Keep the terminal's Ctrl+C away from the server: the demo stops it in good order."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


def _wait_until_alive(client: ApiClient, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not client.is_alive():
        status = process.poll()
        if status is not None or time.monotonic() >= deadline:
            what = f"ended with status {status}" if status is not None else "did not answer in time"
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
            raise LauncherError(
                Exit.DEMO,
                f"The demo's server {what}.",
                details=tuple(lines[-_SHOWN_LINES:]),
                fix="read logs/app.log; then run the demo again.",
                fix_zh="请查看 logs/app.log，然后重新运行演示。",
            )
        time.sleep(_POLL_S)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask the server to end (its input ends, and a signal), then kill it with its children."""
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()
    if process.poll() is None:
        with contextlib.suppress(OSError):
            _ask(process)
    try:
        process.wait(timeout=STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        _kill(process)
        process.wait()


def _ask(process: subprocess.Popen[bytes]) -> None:
    if sys.platform == "win32":
        process.send_signal(signal.CTRL_BREAK_EVENT)
    else:
        process.terminate()


def _kill(process: subprocess.Popen[bytes]) -> None:
    if sys.platform == "win32":
        process.kill()
        return
    with contextlib.suppress(ProcessLookupError):
        # The group is the server's own session, made by start_new_session above.
        os.killpg(process.pid, signal.SIGKILL)
