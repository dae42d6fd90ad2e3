"""Why a download or an installation failed, read from what uv or pip wrote. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from launcher.errors import Exit


@dataclass(frozen=True)
class Cause:
    """Marks in the output, and what to say. `is_network`: trying again may help."""

    marks: tuple[str, ...]
    message: str
    fix: str
    fix_zh: str
    status: Exit = Exit.DEPENDENCIES
    is_network: bool = False


DISK = Cause(
    (
        "no space left on device",
        "os error 28",
        "errno 28",
        "os error 112",
        "winerror 112",
        "not enough space",
    ),
    "The disk is full.",
    "free some space on this drive, then run this again: what was downloaded is kept.",
    "请清理本磁盘空间后再次运行：已下载的内容会保留。",
    Exit.DISK,
)
HASHES = Cause(
    ("hash mismatch", "do not match the hashes", "hashes are required"),
    "A downloaded package is not the one this version of All-in-one was tested with; it was not installed.",
    "a mirror or proxy changed the file: remove PIP_INDEX_URL from .env or set another one, then run this again.",
    "镜像或代理改动了文件：请在 .env 中删除或更换 PIP_INDEX_URL，然后再次运行。",
)
MISSING = Cause(
    (
        "no solution found",
        "no matching distribution",
        "was not found in the package registry",
        "not found in the cache",
        "has no wheels with a matching",
        "no download found",
    ),
    "The package source does not have a needed version.",
    "a mirror may lag behind: run this with --fastest-mirrors, or remove PIP_INDEX_URL and TORCH_INDEX_URL from .env.",
    "镜像可能尚未同步：请加 --fastest-mirrors 运行，或从 .env 中删除 PIP_INDEX_URL 和 TORCH_INDEX_URL。",
)
NETWORK = Cause(
    (
        "error sending request",
        "failed to fetch",
        "failed to download",
        "dns error",
        "error trying to connect",
        "connection reset",
        "connection refused",
        "connection closed",
        "tunnel error",
        "proxyerror",
        "newconnectionerror",
        "name resolution",
        "timed out",
        "max retries exceeded",
        "network is unreachable",
        "certificate",
        "status client error",
        "status server error",
        "incompleteread",
    ),
    "A package source could not be reached, or the connection broke.",
    "check the network and HTTPS_PROXY, or run this with --fastest-mirrors; it goes on where it stopped.",
    "请检查网络和 HTTPS_PROXY，或加 --fastest-mirrors 运行；会从中断处继续。",
    is_network=True,
)
# What pip writes when nobody answered. In the end it says "no matching distribution" all the same.
UNREACHABLE = replace(
    NETWORK,
    marks=(
        "newconnectionerror",
        "nameresolutionerror",
        "name resolution",
        "getaddrinfo failed",
        "connecttimeouterror",
        "proxyerror",
        "network is unreachable",
    ),
)
DENIED = Cause(
    (
        "permission denied",
        "access is denied",
        "os error 13",
        "os error 5)",
        "errno 13",
        "winerror 5",
        "winerror 32",
    ),
    "A file could not be written.",
    "close All-in-one and whatever else uses this folder, check that the folder is yours, then run this again.",
    "请关闭 All-in-one 及其他占用该文件夹的程序，确认有写权限，然后再次运行。",
)
UNKNOWN = Cause(
    (),
    "The program that installs packages failed.",
    "read the lines above; run this again, or with --repair to begin anew.",
    "请查看上面的输出；再次运行，或加 --repair 重新安装。",
)
# Order matters: a full disk also breaks downloads, without a network pip finds no version, and a 404 of a mirror is also
# an error of the network.
_CAUSES = (DISK, HASHES, DENIED, UNREACHABLE, MISSING, NETWORK)


def cause_of(output: str) -> Cause:
    """The cause that the output speaks of."""
    text = output.lower()
    return next((cause for cause in _CAUSES if any(mark in text for mark in cause.marks)), UNKNOWN)
