"""The command line: `python -m launcher start|run|test|install …`.

`start` and `test` run in the system's Python and prepare an environment; `run` runs inside `.venv` and needs
nothing prepared but the packages (a manual installation can use it directly).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from launcher import testing
from launcher.console import Console, prepare_streams
from launcher.dependencies import ensure_dependencies
from launcher.errors import Exit, LauncherError
from launcher.process import Runner, SystemRunner
from launcher.project import (
    ROOT,
    EnvironmentSpec,
    child_environment,
    engine_test_environment,
    python_of,
    recogniser_environment,
    runtime_environment,
    test_environment,
)
from launcher.setup_lock import setup_lock
from launcher.torch_cpu import ensure_torch
from launcher.venv import ensure_environment


def main(argv: Sequence[str], runner: Runner | None = None, console: Console | None = None) -> int:
    """Run one command; returns the exit status and never raises for what a person can mend.

    `install ENGINE …` is the installer's: it has options of its own.
    """
    prepare_streams()
    runner = runner or SystemRunner()
    console = console or Console()
    if argv[:1] == ["install"]:
        from installer import cli as installer

        return installer.main(argv[1:], runner, console)
    arguments, rest = _parse(argv)
    try:
        return _dispatch(arguments, rest, runner, console)
    except LauncherError as error:
        console.fail(error)
        return error.status
    except KeyboardInterrupt:
        console.plain("")
        console.warn("Stopped; start again to go on")
        return Exit.INTERRUPTED


def _dispatch(arguments: argparse.Namespace, rest: Sequence[str], runner: Runner, console: Console) -> int:
    if arguments.command == "test":
        prepare(test_environment(name=arguments.venv), runner, console, rebuild=arguments.repair)
        options = testing.TestOptions(arguments.quick, arguments.pytest_only, arguments.venv, tuple(rest))
        if testing.has_engine_tests(options):
            prepare(engine_test_environment(), runner, console, rebuild=arguments.repair)
            ensure_torch(engine_test_environment(), runner, console)
        return testing.run_checks(options, runner, console)
    if arguments.command == "start":
        spec = runtime_environment()
        prepare(spec, runner, console, rebuild=arguments.repair)
        if arguments.with_recogniser:
            prepare(recogniser_environment(), runner, console, rebuild=arguments.repair)
        return _hand_over(spec, _run_arguments(arguments), runner)
    from launcher import inside

    run_options = inside.RunOptions(
        host=arguments.host,
        port=arguments.port,
        demo=arguments.demo,
        serve=not arguments.no_serve,
        open_browser=arguments.open,
        ends_with_parent=arguments.ends_with_parent,
        with_recogniser=arguments.with_recogniser,
    )
    return inside.run(run_options, runner, console)


def prepare(spec: EnvironmentSpec, runner: Runner, console: Console, *, rebuild: bool = False) -> None:
    """A working environment that holds exactly what its lock lists."""
    with setup_lock(ROOT, console):
        version = ensure_environment(spec, runner, console, rebuild=rebuild)
        console.ok(f"Python {version} in {spec.folder.name}")
        ensure_dependencies(spec, version, runner, console)


def _hand_over(spec: EnvironmentSpec, arguments: Sequence[str], runner: Runner) -> int:
    command = [str(python_of(spec.folder)), "-m", "launcher", "run", *arguments]
    return runner.become(command, cwd=ROOT, env=child_environment())


def _run_arguments(arguments: argparse.Namespace) -> list[str]:
    """The same options for the launcher inside the environment."""
    passed = []
    for name in ("host", "port"):
        value = getattr(arguments, name)
        if value is not None:
            passed += [f"--{name}", str(value)]
    for name in ("demo", "no_serve", "open", "with_recogniser"):
        if getattr(arguments, name):
            passed.append("--" + name.replace("_", "-"))
    return passed


def _parse(argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(prog="launcher", description="Starts and tests All-in-one.")
    commands = parser.add_subparsers(dest="command", required=True)

    start = commands.add_parser("start", prog="start", help="prepare everything, then serve")
    _add_run_options(start)
    start.add_argument("--repair", action="store_true", help="make the virtual environment again first")

    run = commands.add_parser("run", help="serve from an environment that is already active")
    _add_run_options(run)
    run.add_argument("--ends-with-parent", action="store_true", help=argparse.SUPPRESS)

    test = commands.add_parser("test", prog="test", help="run all checks; other arguments go to pytest")
    test.add_argument("--quick", action="store_true", help="leave out slow and browser tests")
    test.add_argument("--pytest-only", action="store_true", help="leave out ruff and mypy")
    test.add_argument("--venv", default=".venv-test", metavar="FOLDER", help="folder of the test environment")
    test.add_argument("--repair", action="store_true", help="make the test environment again first")

    arguments, rest = parser.parse_known_args(list(argv))
    if rest and arguments.command != "test":
        parser.error(f"unknown arguments: {' '.join(rest)}")
    return arguments, rest


def _add_run_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", help="address to listen on (instead of HOST in .env)")
    parser.add_argument("--port", type=_port, help="port to listen on (instead of PORT in .env)")
    parser.add_argument("--demo", action="store_true", help="make one demo video, print its path and end")
    parser.add_argument(
        "--no-serve", "--setup-only", action="store_true", dest="no_serve", help="prepare everything and end"
    )
    parser.add_argument(
        "--with-recogniser", action="store_true", help="install the recogniser that hears speech back"
    )
    parser.add_argument("--open", action="store_true", help="open the page in the browser once it is ready")


def _port(text: str) -> int:
    value = int(text) if text.isascii() and text.isdigit() else 0
    if not 1 <= value <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port (1-65535)")
    return value
