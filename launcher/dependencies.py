"""Installs a lock file into a virtual environment, and only when that list changed.

Runs in the system's Python; pip runs inside the environment. Every package is pinned and hashed by the lock,
so a mirror or proxy can be slow or absent, but cannot slip in something else.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from launcher import dotenv, state
from launcher.console import Console
from launcher.errors import Exit, LauncherError
from launcher.process import Outcome, Runner
from launcher.project import EnvironmentSpec, child_environment, python_of

# pip retries one request this often, and the launcher repeats the whole call for what pip does not retry
# (a connection that stalls in the middle of a wheel); wheels that arrived are kept in pip's cache.
PIP_RETRIES = 5
PIP_TIMEOUT_S = 60
ATTEMPTS = 3
PAUSE_BETWEEN_ATTEMPTS_S = 5.0

_MIB = 1024 * 1024


@dataclass(frozen=True)
class _Cause:
    """One way pip fails: what its output then holds, what to say, and whether nothing was unpacked yet."""

    marks: tuple[str, ...]
    message: str
    fix: str
    fix_zh: str
    is_network: bool = False


_DISK = _Cause(
    ("no space left on device", "errno 28", "winerror 112", "not enough space"),
    "The disk is full.",
    "free about 2 GB on this drive (and on the drive of the temporary folder), then start again.",
    "请在本磁盘（以及临时文件夹所在磁盘）清出约 2 GB 空间，然后再次启动。",
)
_PROXY = _Cause(
    ("proxyerror", "cannot connect to proxy", "tunnel connection failed", "407 proxy"),
    "The proxy does not let the download through.",
    "check HTTPS_PROXY / HTTP_PROXY in this terminal (or your system's proxy), then start again.",
    "请检查终端的 HTTPS_PROXY / HTTP_PROXY（或系统代理）设置，然后再次启动。",
    is_network=True,
)
_HASHES = _Cause(
    ("do not match the hashes", "hashes are required"),
    "A downloaded package is not the one this version of All-in-one was tested with; it was not installed.",
    "a mirror or proxy changed the file: set PIP_INDEX_URL in .env to another mirror or remove it, start again.",
    "镜像或代理改动了文件：请在 .env 中把 PIP_INDEX_URL 改为其他镜像或删除该行，然后再次启动。",
    is_network=True,
)
_MISSING = _Cause(
    ("no matching distribution", "could not find a version that satisfies"),
    "The package source does not have a needed version.",
    "when PIP_INDEX_URL in .env names a mirror, it may lag behind: choose another or remove the line. "
    "Without a mirror this Python or processor may not be supported: use 64-bit Python 3.11.",
    "若 .env 中的 PIP_INDEX_URL 指向镜像，可能尚未同步：请换一个镜像或删除该行。"
    "若未使用镜像，请改用 64 位 Python 3.11。",
    is_network=True,
)
_NETWORK = _Cause(
    (
        "name resolution",
        "getaddrinfo failed",
        "newconnectionerror",
        "connection reset",
        "connection aborted",
        "connection refused",
        "connection broken",
        "readtimeout",
        "read timed out",
        "timed out",
        "max retries exceeded",
        "network is unreachable",
        "sslerror",
        "ssl: ",
        "incompleteread",
        "protocolerror",
    ),
    "The package source could not be reached, or the connection broke.",
    "check the network; behind a proxy set HTTPS_PROXY; on a slow line set PIP_INDEX_URL in .env to a mirror "
    "near you. Start again: finished downloads are kept.",
    "请检查网络；如需代理请设置 HTTPS_PROXY；网络较慢时可在 .env 中把 PIP_INDEX_URL 设为就近的镜像。"
    "再次启动即可，已下载的文件会保留。",
    is_network=True,
)
_DENIED = _Cause(
    ("permission denied", "access is denied", "errno 13", "winerror 5", "winerror 32"),
    "A file could not be written.",
    "close other All-in-one windows, check that this folder is yours (not owned by root), then start again.",
    "请关闭其他 All-in-one 窗口，确认该文件夹属于当前用户，然后再次启动。",
)
_UNKNOWN = _Cause(
    (),
    "pip failed.",
    "read the lines above and logs/install.log; then start again, or run the start script with --repair.",
    "请查看上面的输出和 logs/install.log；然后再次启动，或给启动脚本加上 --repair 参数。",
)
# Order matters: a full disk also breaks connections, a refused proxy also says "max retries exceeded".
_CAUSES = (_DISK, _PROXY, _HASHES, _NETWORK, _MISSING, _DENIED)


def classify(output: str) -> _Cause:
    """The cause that pip's error output speaks of."""
    text = output.lower()
    for cause in _CAUSES:
        if any(mark in text for mark in cause.marks):
            return cause
    return _UNKNOWN


def ensure_dependencies(
    spec: EnvironmentSpec,
    python_version: str,
    runner: Runner,
    console: Console,
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Install `spec.lock` unless the environment was filled from it before. True when pip ran.

    `python_version` is the environment's, such as "3.11.7": packages with compiled parts fit one minor version.
    """
    minor = ".".join(python_version.split(".")[:2])
    digest = state.lock_digest(spec.lock)
    known = state.read_state(spec.folder)
    if known is not None and (known.phase, known.python, known.lock_sha256) == (state.READY, minor, digest):
        console.ok(f"The {spec.title} are up to date")
        return False
    _check_disk(spec)
    index = dotenv.index_environment(spec.folder.parent / ".env")
    source = f" from {_without_secret(index[dotenv.INDEX_SETTING])}" if index else ""
    console.doing(f"Installing the {spec.title}{source}: some minutes the first time, once")
    state.write_state(spec.folder, state.INSTALLING, python=minor)
    outcome = _install(spec, runner, console, index, sleep)
    if outcome.status != 0:
        cause = classify(outcome.text)
        if cause.is_network:
            # pip downloads everything before it unpacks anything: the environment is as it was.
            state.write_state(spec.folder, state.CREATED, python=minor)
        raise LauncherError(
            Exit.DEPENDENCIES,
            f"The {spec.title} could not be installed. {cause.message}",
            details=outcome.lines[-6:],
            fix=cause.fix,
            fix_zh=cause.fix_zh,
        )
    state.write_state(spec.folder, state.READY, python=minor, lock_sha256=digest)
    console.ok(f"The {spec.title} are installed")
    return True


def _install(
    spec: EnvironmentSpec,
    runner: Runner,
    console: Console,
    index: dict[str, str],
    sleep: Callable[[float], None],
) -> Outcome:
    root = spec.folder.parent
    log = root / "logs" / "install.log"
    log.parent.mkdir(exist_ok=True)
    log.unlink(missing_ok=True)
    command = [
        str(python_of(spec.folder)),
        *(
            "-m",
            "pip",
            "install",
            "--require-hashes",
            "--only-binary",
            ":all:",
            "--no-input",
            "--disable-pip-version-check",
        ),
        *("--retries", str(PIP_RETRIES), "--timeout", str(PIP_TIMEOUT_S)),
        *("--log", str(log), "-r", str(spec.lock)),
        # The lock is complete but for that one, which pip would refuse to look for without a hash.
        *(("--no-deps",) if spec.comes_by_itself else ()),
    ]
    outcome = Outcome(-1)
    for attempt in range(1, ATTEMPTS + 1):
        outcome = runner.stream(command, cwd=root, env=child_environment(index))
        if outcome.status == 0 or classify(outcome.text) is not _NETWORK or attempt == ATTEMPTS:
            break
        console.warn(
            f"The connection failed; try {attempt + 1} of {ATTEMPTS} in {PAUSE_BETWEEN_ATTEMPTS_S:.0f} s"
        )
        sleep(PAUSE_BETWEEN_ATTEMPTS_S)
    return outcome


def _check_disk(spec: EnvironmentSpec) -> None:
    free_mib = shutil.disk_usage(_existing(spec.folder)).free // _MIB
    if free_mib < spec.needs_mib:
        raise LauncherError(
            Exit.DEPENDENCIES,
            f"Only {free_mib} MiB are free on this drive; installing the {spec.title} needs {spec.needs_mib} MiB.",
            fix=_DISK.fix,
            fix_zh=_DISK.fix_zh,
        )


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path


def _without_secret(url: str) -> str:
    """A mirror's address without user name and password."""
    scheme, separator, rest = url.partition("://")
    return scheme + separator + rest.rpartition("@")[2]
