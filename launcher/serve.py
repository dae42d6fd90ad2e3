"""Runs the service with uvicorn in this process, inside the virtual environment.

Checks the port first, prints the address when the service really answers, and ends gracefully on Ctrl+C.
"""

from __future__ import annotations

import errno
import logging
import socket
import sys
import threading
import webbrowser
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import uvicorn

from launcher import ports
from launcher.console import Console
from launcher.errors import Exit, LauncherError
from launcher.process import Runner

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import ASGIApp, Receive, Scope, Send

    from backend.utils.config import Settings
    from launcher.inside import RunOptions

# Open event streams end when the service says so; whoever does not listen is cut off after this long (s).
GRACEFUL_SHUTDOWN_S = 10
_UNSPECIFIED = {"0.0.0.0", "::"}  # noqa: S104 - recognised, not bound
_SHOWN_ADDRESSES = 3
# Of an error that is not the product's own: its kind, where and what.
_SHOWN_LINES = 3


def serve(settings: Settings, options: RunOptions, runner: Runner, console: Console) -> int:
    """Serve until Ctrl+C. Returns OK after a graceful end; raises LauncherError when it cannot start."""
    check_port(settings.host, settings.port, runner)
    if not options.ends_with_parent:
        console.ok(f"Port {settings.port} is free")
    from backend.main import create_app

    app = create_app(settings)
    watch = _StartWatch(app)
    config = config_of(app, settings)
    config.app = watch
    server = _Server(config, settings, options, console)
    # Without any handler Python prints uvicorn's tracebacks on the terminal.
    logging.getLogger("uvicorn.error").addHandler(logging.NullHandler())
    if options.ends_with_parent:
        threading.Thread(
            target=_stop_at_end_of_input, args=(server,), name="parent-watch", daemon=True
        ).start()
    try:
        server.run()
    except KeyboardInterrupt:
        # uvicorn raises the signal again after it has shut down in good order.
        console.plain("")
    except SystemExit:
        # uvicorn's answer to a failed bind or start-up; the reason is found out below.
        pass
    if not server.started:
        check_port(settings.host, settings.port, runner)
        _log_failure(watch.error, settings)
        raise did_not_start(watch.error, settings.logs_dir / "app.log")
    console.ok("All-in-one has stopped")
    return Exit.OK


def config_of(app: FastAPI, settings: Settings) -> uvicorn.Config:
    """How the product is served."""
    # Late, like the app itself: what is wrong with its packages is said by `run`.
    from backend.api.http_protocol import HttpProtocol

    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        # With a deadline for the head of a request, and JSON for what is none.
        http=HttpProtocol,
        # Nothing here speaks WebSocket.
        ws="none",
        # The product's own log files take uvicorn's lines; the terminal keeps the few lines of the launcher.
        log_config=None,
        # Any page on the net can have a browser send requests here: their paths would fill the log, refused or not.
        # The service logs by route what its guard let pass (backend/api/request_log.py).
        access_log=False,
        log_level=settings.log_level.lower(),
        timeout_graceful_shutdown=GRACEFUL_SHUTDOWN_S,
    )


class _StartWatch:
    """The app, and what ended its start: uvicorn keeps no more of it than a printed traceback."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.error: Exception | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except Exception as error:
            if scope["type"] == "lifespan":
                self.error = error
            raise


def did_not_start(error: Exception | None, log: Path) -> LauncherError:
    """What a person is told of a failed start: what was in the way and what helps, without a traceback."""
    from backend.models.errors import ProductError

    damaged = "files of the program may be missing or damaged: unpack it again over this folder."
    details, fix = [], damaged
    if isinstance(error, ProductError):
        details.append(error.detail)
        if error.hint is not None:
            fix = error.hint
        elif error.__cause__ is not None:
            details.append(_in_words(error.__cause__))
            fix = "check that you may write the data folder and every file in it."
    elif error is not None:
        details.append(_in_words(error))
        if isinstance(error, OSError):
            fix = f"free some disk, or check that you may use what is named above; {damaged}"
    return LauncherError(
        Exit.FAILED,
        "The service did not start.",
        details=(*details, f"{log} has more."),
        fix=fix,
        fix_zh="请按上面的提示处理：检查磁盘空间和文件夹权限；若程序文件缺失或损坏，请重新解压覆盖本文件夹。",
    )


def _in_words(error: BaseException) -> str:
    """Kind and first lines; not all of it, because the last line of some errors is an address to read more."""
    said = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join([f"{type(error).__name__}:", *said[:_SHOWN_LINES]])


def _log_failure(error: Exception | None, settings: Settings) -> None:
    """The whole of it for whoever helps. The service's own log was closed again before uvicorn spoke of the failure."""
    from backend.utils.logger import app_logger, configure_logging

    close = configure_logging(settings.logs_dir)
    try:
        app_logger.error("the service did not start", exc_info=error)
    finally:
        close()


class _Server(uvicorn.Server):
    """uvicorn's server that says where it listens once it does."""

    def __init__(
        self, config: uvicorn.Config, settings: Settings, options: RunOptions, console: Console
    ) -> None:
        super().__init__(config)
        self._settings = settings
        self._options = options
        self._console = console
        self._was_signalled = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal always asks, also when the end of input asked a moment before; only a second one forces.

        uvicorn takes any Ctrl+C after `should_exit` for the second and leaves without ending the app.
        """
        if not self._was_signalled:
            self._was_signalled = True
            self.should_exit = False
        super().handle_exit(sig, frame)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if not self.started or self._options.ends_with_parent:
            return
        address, *others = page_addresses(self._settings.host, self._settings.port)
        self._console.ok(f"All-in-one is ready: {address}   (Ctrl+C stops it)")
        for other in others:
            self._console.plain(f"     on other devices: {other}")
        if self._options.open_browser:
            # Opening may wait for a slow desktop; the event loop must not.
            threading.Thread(target=webbrowser.open, args=(address,), name="open-page", daemon=True).start()


def _stop_at_end_of_input(server: uvicorn.Server) -> None:
    """End with the process that holds the other end of standard input, however it ended."""
    while sys.stdin.buffer.read(1024):
        pass
    server.should_exit = True


def check_port(host: str, port: int, runner: Runner) -> None:
    """Raise LauncherError when the service could not listen on (host, port), naming what is in the way."""
    problem = ports.bind_problem(host, port)
    if problem is None:
        return
    if ports.is_in_use(problem):
        raise _in_use(host, port, runner)
    if problem.errno == errno.EACCES:
        raise LauncherError(
            Exit.PORT,
            f"Port {port} is reserved by the system.",
            fix="use a port above 1023, for example PORT=8000 in .env.",
            fix_zh="请使用 1023 以上的端口，例如在 .env 中设置 PORT=8000。",
        )
    raise LauncherError(
        Exit.PORT,
        f"The service cannot listen on {host}: {problem.strerror or problem}",
        fix="HOST in .env must be 127.0.0.1, 0.0.0.0 (local network) or an address of this computer.",
        fix_zh=".env 中的 HOST 应为 127.0.0.1、0.0.0.0（局域网访问）或本机的某个地址。",
    )


def _in_use(host: str, port: int, runner: Runner) -> LauncherError:
    details: list[str] = []
    owner = ports.find_owner(port, runner)
    if owner is not None:
        details.append(f"It is held by {owner}.")
    from launcher.client import ApiClient

    running = f"http://127.0.0.1:{port}"
    if ApiClient(running).is_all_in_one():
        details.append(f"All-in-one already runs there: open {running}")
    free = ports.free_port_above(host, port) or port + 1
    return LauncherError(
        Exit.PORT,
        f"Port {port} is already in use.",
        details=tuple(details),
        fix=f"close that program, or set PORT={free} in .env (or start with --port {free}).",
        fix_zh=f"关闭占用端口的程序，或在 .env 中设置 PORT={free}（也可以用 --port {free} 启动）。",
    )


def page_addresses(host: str, port: int) -> list[str]:
    """Addresses of the page: this computer's first, then those that other devices can use."""
    if host not in _UNSPECIFIED:
        return [f"http://{_bracketed(host)}:{port}"]
    return [f"http://127.0.0.1:{port}", *(f"http://{address}:{port}" for address in _lan_addresses())]


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _lan_addresses() -> list[str]:
    import psutil

    found = [
        address.address
        for addresses in psutil.net_if_addrs().values()
        for address in addresses
        if address.family == socket.AF_INET and not address.address.startswith("127.")
    ]
    return found[:_SHOWN_ADDRESSES]
