"""Entry point of the packaged executable (PyInstaller, one file): the service, its workers and its tools in one.

There is no other Python on the user's machine, so the executable starts itself again for each child:

* `All-in-one -X utf8 -u …/workers/host.py --handler NAME`: the command with which the service starts a worker. The
  interpreter's options mean nothing here; the script's path says that this process is a worker.
* `All-in-one --run-module NAME …`: a module of ours that is otherwise started with `python -m`.
* anything else: the options of `python -m launcher run`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from launcher.project import RUN_MODULE

HOST_SCRIPT = ("workers", "host.py")
# What may be started by name; the command line of an executable is no place for arbitrary imports.
MODULES = ("launcher", "workers.speech.install")


def host_arguments(arguments: Sequence[str]) -> list[str] | None:
    """The arguments after `…/workers/host.py`; None when this is not the start of a worker."""
    for position, argument in enumerate(arguments):
        if not argument.startswith("-") and Path(argument).parts[-2:] == HOST_SCRIPT:
            return list(arguments[position + 1 :])
    return None


def main(arguments: Sequence[str]) -> int:
    """Become what the arguments ask for; returns the exit status."""
    for_host = host_arguments(arguments)
    if for_host is not None:
        from workers import host

        return host.main(for_host)
    if arguments[:1] == [RUN_MODULE]:
        return _run_module(arguments[1], arguments[2:])
    status = _run_module("launcher", ["run", *arguments])
    _keep_window(status)
    return status


def _run_module(name: str, arguments: Sequence[str]) -> int:
    if name not in MODULES:
        raise SystemExit(f"{name} is not one of {', '.join(MODULES)}")
    if name == "launcher":
        from launcher import cli

        return cli.main(arguments)
    from workers.speech import install

    return install.main(arguments)


def _keep_window(status: int) -> None:
    """A double-clicked executable must not take its error message away with its window."""
    if status != 0 and sys.platform == "win32" and sys.stdin is not None and sys.stdin.isatty():
        input("Press Enter to close this window . . . ")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
