"""What runs inside the virtual environment: settings, folders, speech model, then demo or service.

The first launcher process (system Python) hands over to this one. From here on `backend.utils.config` is the
only reader of `.env` and the environment.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from launcher.console import Console
from launcher.errors import Exit, LauncherError
from launcher.process import Runner
from launcher.project import ROOT, child_environment, module_command, python_of, recogniser_environment

if TYPE_CHECKING:
    from backend.utils.config import Settings

# Joining, checking and patching 92 MB takes seconds; a slow disk some minutes.
MODEL_INSTALL_TIMEOUT_S = 900.0


@dataclass(frozen=True)
class RunOptions:
    """What the command line asked for. None means: as the settings say."""

    host: str | None = None
    port: int | None = None
    demo: bool = False
    serve: bool = True
    open_browser: bool = False
    ends_with_parent: bool = False
    with_recogniser: bool = False


def run(options: RunOptions, runner: Runner, console: Console) -> int:
    """Prepare and serve (or run the demo). Returns an exit status; raises LauncherError."""
    with wrong_lines_told(console):
        settings = read_settings(options)
    if not options.ends_with_parent:
        make_folders(settings)
        install_speech_model(settings, runner, console)
        if options.with_recogniser:
            install_recogniser(settings, runner, console)
    if options.demo:
        from launcher import demo

        return demo.run(settings, console)
    if not options.serve:
        console.ok("Everything is in place; start without --no-serve to use it")
        return Exit.OK
    from launcher import serve

    return serve.serve(settings, options, runner, console)


def read_settings(options: RunOptions) -> Settings:
    """The product's settings; `--host` and `--port` win over `.env`. A wrong value gives its name."""
    from pydantic import ValidationError

    from backend.utils.config import load_settings

    overrides: dict[str, Any] = {}
    if options.host is not None:
        overrides["host"] = options.host
    if options.port is not None:
        overrides["port"] = options.port
    try:
        return load_settings(**overrides)
    except ValidationError as error:
        problems = tuple(_describe(problem) for problem in error.errors())
        raise LauncherError(
            Exit.SETTINGS,
            "A setting cannot be used.",
            details=problems,
            fix="correct it in .env (every setting is explained in .env.example) and start again.",
            fix_zh="请在 .env 中改正（.env.example 中有每一项的说明），然后再次启动。",
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise LauncherError(
            Exit.SETTINGS,
            f".env cannot be read: {error}",
            fix="save .env as UTF-8 text and start again.",
            fix_zh="请把 .env 保存为 UTF-8 编码的文本文件，然后再次启动。",
        ) from error


class _WrongLines(logging.Handler):
    """Says in words which lines of `.env` python-dotenv could not read and leaves out."""

    def __init__(self, console: Console) -> None:
        super().__init__(logging.WARNING)
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        number = re.search(r"line (\d+)", record.getMessage())
        where = f", line {number.group(1)}," if number else ""
        self._console.warn(
            f".env{where} is left out: a line reads NAME=value. 这一行不是 NAME=value，已忽略。"
        )


@contextlib.contextmanager
def wrong_lines_told(console: Console) -> Iterator[None]:
    """Inside, lines of `.env` that are none are told on the console."""
    handler = _WrongLines(console)
    logging.getLogger("dotenv").addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger("dotenv").removeHandler(handler)


def _describe(problem: Mapping[str, object]) -> str:
    location = problem["loc"]
    name = ".".join(str(part) for part in location) if isinstance(location, tuple) else str(location)
    # The value itself is not shown: it may be a key.
    return f"{name.upper()}: {str(problem['msg']).removeprefix('Value error, ')}"


def make_folders(settings: Settings) -> None:
    """Create the data and log folders."""
    for folder in (settings.data_dir, settings.logs_dir):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            writable = os.access(folder, os.W_OK)
        except OSError:
            writable = False
        if not writable:
            raise LauncherError(
                Exit.SETTINGS,
                f"The folder {folder} cannot be written.",
                fix="choose another folder with DATA_DIR or LOGS_DIR in .env, or change its owner.",
                fix_zh="请在 .env 中用 DATA_DIR 或 LOGS_DIR 换一个文件夹，或修改该文件夹的权限。",
            )


def install_speech_model(settings: Settings, runner: Runner, console: Console) -> None:
    """Put the built-in voice's model in place; a moment when it already is."""
    command = module_command("workers.speech.install", "--models-dir", str(settings.models_dir))
    # PYTHONPATH, not the working directory, finds `workers`: the caller may stand anywhere.
    env = child_environment({"PYTHONPATH": str(ROOT)})
    outcome = runner.capture(command, timeout_s=MODEL_INSTALL_TIMEOUT_S, env=env)
    if outcome.status != 0:
        raise LauncherError(
            Exit.MODEL,
            "The built-in speech model could not be put in place.",
            details=outcome.lines[-6:],
            fix="free 300 MB of disk, then run the start script with --repair.",
            fix_zh="请清出 300 MB 磁盘空间，然后给启动脚本加上 --repair 参数再运行。",
        )
    console.ok("The speech model is ready")


def install_recogniser(settings: Settings, runner: Runner, console: Console) -> None:
    """Put the recogniser's model in place, with the Python whose packages hold it."""
    python = python_of(recogniser_environment().folder)
    command = [str(python), "-m", "workers.listen.install", "--models-dir", str(settings.models_dir)]
    env = child_environment({"PYTHONPATH": str(ROOT)})
    outcome = runner.capture(command, timeout_s=MODEL_INSTALL_TIMEOUT_S, env=env)
    if outcome.status != 0:
        raise LauncherError(
            Exit.MODEL,
            "The recogniser's model could not be put in place.",
            details=outcome.lines[-6:],
            fix="free 500 MB of disk, then start again with --with-recogniser --repair.",
            fix_zh="请清出 500 MB 磁盘空间，然后加上 --with-recogniser --repair 参数再次启动。",
        )
    console.ok("The recogniser is ready")
