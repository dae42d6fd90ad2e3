"""Which paths may be touched: names the service makes, below one folder, and nothing a link leads out of.

Runs in the service process. Pure path logic plus `resolve` (which reads links); raises `RequestError`.
"""

from __future__ import annotations

import re
from pathlib import Path, PureWindowsPath

from backend.models.codes import ErrorCode
from backend.models.errors import RequestError

# Names that Windows treats as devices in every folder, with any extension
# (learn.microsoft.com, "Naming Files, Paths, and Namespaces").
_DEVICE_NAMES = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f<>:"|?*\\]')
# Longer than any path we make; short of every system's limit.
MAX_REL_PATH = 240


def _refuse(why: str) -> RequestError:
    return RequestError(
        ErrorCode.VALIDATION_FAILED,
        f"This path cannot be used: {why}.",
        hint="Use a file inside data/uploads.",
    )


def check_rel_path(rel_path: str) -> str:
    """The path itself when it is relative, plain and the same on every system; raises otherwise."""
    if not rel_path or len(rel_path) > MAX_REL_PATH:
        raise _refuse("it is empty or too long")
    if _FORBIDDEN.search(rel_path):
        raise _refuse("it has characters that file names may not have")
    for part in rel_path.split("/"):
        if part in {"", ".", ".."}:
            raise _refuse("it is not a plain path below the data folder")
        if part.endswith((".", " ")) or part.startswith(" "):
            raise _refuse("a name begins or ends with a blank or ends with a dot")
        if _DEVICE_NAMES.fullmatch(part):
            raise _refuse("it names a device")
    return rel_path


def resolve_below(root: Path, rel_path: str) -> Path:
    """The absolute path of `rel_path` below `root`, all links followed. Raises when it lies outside.

    The file need not exist; what exists of the path decides.
    """
    base = root.resolve()
    target = (base / check_rel_path(rel_path)).resolve()
    if base not in target.parents:
        raise _refuse("it leads out of its folder")
    return target


def resolve_user_path(folder: Path, text: str) -> Path:
    """An existing file that a user named: absolute inside `folder`, or relative to it.

    `data/uploads/me.jpg`, `uploads/me.jpg` and `me.jpg` name the same file of `data/uploads`, also with
    backslashes. Raises `validation_failed`; the answer never says whether a file outside exists.
    """
    plain = text.strip().replace("\\", "/")
    base = folder.resolve()
    for prefix in (f"{base.as_posix()}/", f"{folder.absolute().as_posix()}/"):
        if plain.startswith(prefix):
            plain = plain[len(prefix) :]
            break
    else:
        if plain.startswith("/") or PureWindowsPath(plain).drive:
            raise _refuse("it lies outside data/uploads")
        plain = plain.removeprefix("./")
        for prefix in (f"{folder.parent.name}/{folder.name}/", f"{folder.name}/"):
            if plain.startswith(prefix):
                plain = plain[len(prefix) :]
                break
    target = resolve_below(folder, plain)
    if not target.is_file():
        raise _refuse("there is no such file in data/uploads")
    return target
