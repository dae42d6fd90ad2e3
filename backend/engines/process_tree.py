"""Starting, watching and killing a worker together with everything it started. Service process.

The only module that asks for the platform. On POSIX a worker leads its own session and process group;
on Linux its descendants also carry a marker in their environment, so that a daemon which left the
group is found as well. On Windows each worker lives in a Job Object (`windows_jobs`; written from
documentation, not tested on Windows). Nothing here knows the protocol.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

if sys.platform == "win32":  # not tested on Windows
    from backend.engines import windows_jobs

# Carried in the environment of a worker and inherited by all it starts; the value is the worker id.
MARKER = "ALL_IN_ONE_WORKER"

# A killed group needs a moment to vanish; stragglers are looked for this often and this many times.
_STRAGGLER_ROUNDS = 20
_STRAGGLER_PAUSE_S = 0.05


@dataclass(frozen=True)
class ProcessIdentity:
    """What names one process beyond doubt, also after a restart of the service or of the machine.

    `started` is an opaque token of its start time; `command` the arguments joined by one space.
    """

    worker_id: str
    pid: int
    started: str
    command: str


class ProcessTree:
    """A running worker process and all that it started. The methods may be called from any thread."""

    def __init__(
        self, process: subprocess.Popen[bytes], identity: ProcessIdentity, job: object | None
    ) -> None:
        self._process = process
        self._job = job
        self._lock = threading.Lock()
        self._reaped = False
        self.identity = identity

    @property
    def stdin(self) -> IO[bytes]:
        assert self._process.stdin is not None  # noqa: S101  spawn() always makes pipes
        return self._process.stdin

    @property
    def stdout(self) -> IO[bytes]:
        assert self._process.stdout is not None  # noqa: S101
        return self._process.stdout

    @property
    def stderr(self) -> IO[bytes]:
        assert self._process.stderr is not None  # noqa: S101
        return self._process.stderr

    def terminate(self) -> None:
        """Ask the whole group to end. Does nothing once the worker is reaped."""
        if sys.platform == "win32":  # not tested on Windows
            with self._lock:
                if not self._reaped:
                    with contextlib.suppress(OSError):
                        self._process.send_signal(signal.CTRL_BREAK_EVENT)
        else:
            self._signal_group(signal.SIGTERM)

    def kill(self) -> None:
        """End the whole group at once. Does nothing once the worker is reaped."""
        if sys.platform == "win32":  # not tested on Windows
            with self._lock:
                if not self._reaped:
                    windows_jobs.terminate(self._job)
        else:
            self._signal_group(signal.SIGKILL)

    def _signal_group(self, number: int) -> None:
        if sys.platform != "win32":
            with self._lock:  # between exit and reaping the pid still pins the group id
                if not self._reaped:
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        os.killpg(self.identity.pid, number)

    def wait(self) -> int:
        """Wait for the worker's end, kill what it left behind, reap it; the exit status as Popen gives it.

        Called once, from the thread that spawned it.
        """
        if sys.platform == "win32":  # not tested on Windows
            status = self._process.wait()
            with self._lock:
                self._reaped = True
                windows_jobs.terminate(self._job)
                windows_jobs.close(self._job)
            return status
        if hasattr(os, "waitid"):  # macOS has it from Python 3.13 on
            # Learn of the exit without reaping: the zombie keeps its pid, hence the group id, ours.
            os.waitid(os.P_PID, self.identity.pid, os.WEXITED | os.WNOWAIT)
            self._signal_group(signal.SIGKILL)
            _kill_stragglers(self.identity)
            with self._lock:
                status = self._process.wait()
                self._reaped = True
            return status
        status = self._process.wait()
        with self._lock:
            self._reaped = True
        # Too late to be sure, but a group with members keeps its id, and without any nothing is hit.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.identity.pid, signal.SIGKILL)
        return status

    def leftovers(self) -> list[int]:
        """Pids of living processes that the worker started and that are still there (Linux; else none)."""
        return _descendants(self.identity)


def spawn(argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, worker_id: str) -> ProcessTree:
    """Start `argv` (never a shell string) with three pipes. Raises OSError when it cannot be started.

    The calling thread must outlive the worker: Linux delivers the parent-death signal when the thread
    that spawned ends, see prctl(2), PR_SET_PDEATHSIG.
    """
    child_env = {**env, MARKER: worker_id}
    if sys.platform == "win32":  # not tested on Windows
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
        job = windows_jobs.create()
        process = subprocess.Popen(  # noqa: S603
            list(argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            close_fds=True,
            cwd=cwd,
            env=child_env,
            creationflags=flags,
        )
        try:
            windows_jobs.assign(job, int(process._handle))  # type: ignore[attr-defined]
        except OSError:
            process.kill()
            windows_jobs.close(job)
            raise
        return ProcessTree(process, _identity(worker_id, process.pid, argv), job)
    process = subprocess.Popen(  # noqa: S603
        list(argv),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        close_fds=True,
        cwd=cwd,
        env=child_env,
        start_new_session=True,  # not preexec_fn: unsafe in a process with threads
    )
    return ProcessTree(process, _identity(worker_id, process.pid, argv), None)


def _identity(worker_id: str, pid: int, argv: Sequence[str]) -> ProcessIdentity:
    return ProcessIdentity(worker_id, pid, start_token(pid) or "", " ".join(argv))


# --- asking about other processes --------------------------------------------------------------------


def start_token(pid: int) -> str | None:
    """A token of the moment this process started; None when there is no such process.

    Linux: boot id and start time in ticks (proc(5), field 22). Two processes never share it.
    """
    if sys.platform == "win32":  # not tested on Windows
        return windows_jobs.start_token(pid)
    if sys.platform == "linux":
        stat = _stat_fields(pid)
        if stat is None:
            return None
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot[:8]}:{stat[19]}"
    return _ask_ps(pid, "lstart=")


def command_of(pid: int) -> str | None:
    """The arguments of a process joined by one space; None when there is none or it is not ours to read."""
    if sys.platform == "win32":  # the start time, at 100 ns, must do there
        return None
    if sys.platform == "linux":
        try:
            raw = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return None
        return raw.rstrip(b"\0").replace(b"\0", b" ").decode("utf-8", "surrogateescape")
    return _ask_ps(pid, "command=")


def _ask_ps(pid: int, column: str) -> str | None:
    answer = subprocess.run(  # noqa: S603
        ["/bin/ps", "-o", column, "-p", str(pid)], capture_output=True, text=True, timeout=5, check=False
    )
    return answer.stdout.strip() or None


def _stat_fields(pid: int) -> list[str] | None:
    """proc(5) stat from field 3 (state) on; the name in field 2 may hold spaces and brackets."""
    try:
        raw = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return raw[raw.rindex(")") + 2 :].split()


def oom_kills() -> int | None:
    """How often the kernel's out-of-memory killer struck so far; None where it is not told.

    Linux: `oom_kill` in /proc/vmstat, readable by everyone, counts every control group.
    """
    try:
        text = Path("/proc/vmstat").read_text(encoding="ascii")
    except OSError:
        return None
    counts = [line.split()[1] for line in text.splitlines() if line.startswith("oom_kill ")]
    return int(counts[0]) if counts else None


# --- killing what is left ----------------------------------------------------------------------------


def sweep_orphans(identities: Iterable[ProcessIdentity]) -> list[int]:
    """Kill the workers of dead services that are still alive; returns the pids that were killed.

    For the start of the service, with the processes that earlier services noted. Pid, start time and
    command line must all match before a process is touched: a pid alone is soon another program's.
    On Linux what such a worker started is found by its marker even when the worker itself is gone.
    """
    killed: list[int] = []
    for identity in identities:
        if _is_same(identity):
            killed.append(identity.pid)
            _kill_group_of(identity.pid)
        killed += _kill_stragglers(identity)
    return killed


def _is_same(identity: ProcessIdentity) -> bool:
    if identity.pid in (0, 1, os.getpid()) or not identity.started:
        return False
    if start_token(identity.pid) != identity.started:
        return False
    return sys.platform == "win32" or command_of(identity.pid) == identity.command


def _kill_group_of(pid: int) -> None:
    if sys.platform == "win32":  # not tested on Windows
        windows_jobs.kill_pid_tree(pid)
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        # A worker leads its group; were it not so, only the process itself may be hit.
        if os.getpgid(pid) == pid:
            os.killpg(pid, signal.SIGKILL)
        else:
            os.kill(pid, signal.SIGKILL)


def _kill_stragglers(identity: ProcessIdentity) -> list[int]:
    """Kill marked descendants until none is left or the rounds are over."""
    killed: list[int] = []
    for _ in range(_STRAGGLER_ROUNDS):
        found = _descendants(identity)
        if not found:
            break
        killed += [pid for pid in found if _kill_marked(pid, identity.worker_id)]
        time.sleep(_STRAGGLER_PAUSE_S)
    return sorted(set(killed))


def _descendants(identity: ProcessIdentity) -> list[int]:
    """Living processes other than the worker that carry its marker. Linux only."""
    if sys.platform != "linux":
        return []
    try:
        names = os.listdir("/proc")  # noqa: PTH208  thousands of names, no need of paths
    except OSError:
        return []
    return [
        pid
        for pid in map(int, filter(str.isdigit, names))
        if pid not in (identity.pid, os.getpid()) and _carries(pid, identity.worker_id) and _is_living(pid)
    ]


def _carries(pid: int, worker_id: str) -> bool:
    try:
        environ = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:  # gone, or another user's
        return False
    return f"{MARKER}={worker_id}".encode() in environ.split(b"\0")


def _is_living(pid: int) -> bool:
    stat = _stat_fields(pid)
    return stat is not None and stat[0] not in ("Z", "X")


def _kill_marked(pid: int, worker_id: str) -> bool:
    """Kill by a process descriptor, so that a pid which changed hands in between is never hit.

    Some builds of Python know no process descriptors; there the check just before the kill must do.
    """
    if sys.platform != "linux":
        return False
    try:
        if not hasattr(os, "pidfd_open"):
            if _carries(pid, worker_id):
                os.kill(pid, signal.SIGKILL)
            return True
        handle = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        if not _carries(pid, worker_id):
            return False
        signal.pidfd_send_signal(handle, signal.SIGKILL)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True
