"""Whether the service can listen on its address, and which program is in the way when it cannot.

Runs inside the virtual environment. psutil names the owner on every platform; without it (or when the system
denies it) /proc, lsof or netstat are asked. Not tested on Windows and macOS.
"""

from __future__ import annotations

import errno
import re
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

from launcher.process import Runner
from launcher.project import child_environment

# lsof and netstat answer at once or hang on name look-ups, which the flags below switch off.
TOOL_TIMEOUT_S = 5.0
# How far above a busy port a free one is looked for.
SUGGESTION_RANGE = 50
_LISTEN_STATE = "0A"  # TCP_LISTEN in /proc/net/tcp, include/net/tcp_states.h


@dataclass(frozen=True)
class PortOwner:
    """A process that listens; `name` may be empty when only the number is known."""

    pid: int
    name: str

    def __str__(self) -> str:
        return f"{self.name} (process {self.pid})" if self.name else f"process {self.pid}"


def bind_problem(host: str, port: int) -> OSError | None:
    """The error of listening on (host, port) right now; None when it is free.

    Raises nothing: a host that does not resolve comes back as the OSError that says so.
    """
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        return error
    for family, kind, protocol, _, address in addresses:
        try:
            with socket.socket(family, kind, protocol) as probe:
                _exclusive(probe)
                probe.bind(address)
                probe.listen(1)
        except OSError as error:
            return error
    return None


def _exclusive(probe: socket.socket) -> None:
    """On POSIX a port in TIME_WAIT counts as free, as for the server; on Windows REUSEADDR would share it."""
    if sys.platform == "win32":
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
    else:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)


def is_in_use(problem: OSError) -> bool:
    """Whether the problem is another listener. Windows says WSAEACCES for an exclusively bound port."""
    return problem.errno == errno.EADDRINUSE or getattr(problem, "winerror", None) in (10048, 10013)


def free_port_above(host: str, port: int) -> int | None:
    """A port after `port` that is free now."""
    for candidate in range(port + 1, min(port + SUGGESTION_RANGE, 65535) + 1):
        if bind_problem(host, candidate) is None:
            return candidate
    return None


def any_free_port() -> int:
    """A free port on 127.0.0.1, chosen by the system."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def find_owner(port: int, runner: Runner) -> PortOwner | None:
    """The process that listens on `port`, where this user may know it."""
    return _by_psutil(port) or _by_proc(port) or _by_lsof(port, runner) or _by_netstat(port, runner)


def _by_psutil(port: int) -> PortOwner | None:
    try:
        import psutil
    except ImportError:
        return None
    try:
        for connection in psutil.net_connections(kind="tcp"):
            # An unbound socket has an empty address.
            is_ours = (
                connection.status == psutil.CONN_LISTEN and getattr(connection.laddr, "port", None) == port
            )
            if is_ours and connection.pid:
                return PortOwner(connection.pid, psutil.Process(connection.pid).name())
    except (psutil.Error, OSError):
        return None  # macOS lets only root list connections; lsof still answers for one's own processes
    return None


def _by_proc(port: int, proc: Path = Path("/proc")) -> PortOwner | None:
    inodes = {inode for name in ("tcp", "tcp6") for inode in _listening_inodes(proc / "net" / name, port)}
    if not inodes:
        return None
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for process in proc.iterdir():
        if process.name.isdigit() and _holds(process / "fd", wanted):
            return PortOwner(int(process.name), _read(process / "comm").strip())
    return None


def _listening_inodes(table: Path, port: int) -> list[str]:
    """Socket inodes of listeners on `port`: columns of /proc/net/tcp, Linux proc(5)."""
    found = []
    for line in _read(table).splitlines()[1:]:
        fields = line.split()
        if len(fields) > 9 and fields[3] == _LISTEN_STATE and int(fields[1].rpartition(":")[2], 16) == port:
            found.append(fields[9])
    return found


def _holds(descriptors: Path, wanted: set[str]) -> bool:
    try:
        return any(str(entry.readlink()) in wanted for entry in descriptors.iterdir())
    except OSError:
        return False  # another user's process, or one that ended meanwhile


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _by_lsof(port: int, runner: Runner) -> PortOwner | None:
    outcome = runner.capture(
        ["lsof", "-nP", f"-iTCP:{port}", "-sTCP:LISTEN", "-Fpc"],
        timeout_s=TOOL_TIMEOUT_S,
        env=child_environment(),
    )
    pid = next((line[1:] for line in outcome.lines if re.fullmatch(r"p\d+", line)), None)
    name = next((line[1:] for line in outcome.lines if line.startswith("c")), "")
    return PortOwner(int(pid), name) if outcome.status == 0 and pid else None


def _by_netstat(port: int, runner: Runner) -> PortOwner | None:
    """`netstat -ano` of Windows: the last column is the process, the fourth its (translated) state."""
    if sys.platform != "win32":
        return None
    outcome = runner.capture(
        ["netstat", "-ano", "-p", "TCP"], timeout_s=TOOL_TIMEOUT_S, env=child_environment()
    )
    return parse_netstat(outcome.lines, port)


def parse_netstat(lines: tuple[str, ...], port: int) -> PortOwner | None:
    """The listener on `port` in Windows' netstat table; its foreign port is 0 in every language."""
    for line in lines:
        fields = line.split()
        if (
            len(fields) >= 5
            and fields[1].endswith(f":{port}")
            and fields[2].endswith(":0")
            and fields[-1].isdigit()
        ):
            return PortOwner(int(fields[-1]), "")
    return None
