"""The step that brings the program an engine runs, as the source of one commit. Runs in the start script's Python.

Flow: a user's own copy wins -> else the archive of the commit (GitHub or its mirror, no git needed) -> unpacked beside
-> git's tree id of what came is the pinned one, or nothing of it is used -> moved into the engine's folder.
"""

from __future__ import annotations

import shutil
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

from installer import checkout, download, unpack
from installer.causes import DENIED, DISK, Cause
from installer.checkout import Manifest
from installer.context import Context
from installer.engines import Upstream
from installer.git_tree import Blob, tree_id
from installer.sources import without_secret
from installer.step import ATTEMPTS, Step, error_of, pause_before
from launcher.console import ProgressBar
from launcher.errors import Exit, LauncherError

NAME = "source"
# The archive of WanGP 12.60 has about 80 MB; a later one may grow, a wrong one must not fill the disk.
MAX_ARCHIVE_BYTES = 512 << 20
BOUNDS = unpack.Bounds(files=20_000, total_bytes=2 << 30)
# Far longer than a slow line needs for it.
DEADLINE_S = 3_600.0
# Windows refuses longer paths, unless a setting of the system allows them.
WINDOWS_PATH = 259
_NO_SPACE = (28, 112)
_STAGE = ".aio-new"

UNREACHABLE = Cause(
    (),
    "The source of the engine could not be downloaded.",
    "check the network and HTTPS_PROXY, set GITHUB_MIRROR in .env or run this with --fastest-mirrors; it goes on where "
    "it stopped. Or put your own copy into the engine's folder.",
    "请检查网络和 HTTPS_PROXY，在 .env 中设置 GITHUB_MIRROR，或加 --fastest-mirrors 运行；会从中断处继续。"
    "也可以自行把源码放入引擎文件夹。",
)
WRONG = Cause(
    (),
    "What was downloaded is not the source that this version of All-in-one was made for; nothing of it was used.",
    "a mirror or proxy changed it: remove GITHUB_MIRROR from .env or set another one, then run this again.",
    "镜像或代理改动了内容：请在 .env 中删除或更换 GITHUB_MIRROR，然后再次运行。",
)
LONG = Cause(
    (),
    "The path of the project is too long for Windows.",
    "move the project to a shorter folder such as C:\\aio, or allow long paths in Windows (LongPathsEnabled).",
    "请把项目移到路径更短的文件夹（例如 C:\\aio），或在 Windows 中启用长路径（LongPathsEnabled）。",
    Exit.ENVIRONMENT,
)


def source_line(context: Context) -> str:
    """What the plan says of it."""
    upstream = _upstream(context)
    if checkout.is_own(context.core, upstream):
        version = checkout.version_of(context.core, upstream) or "of unknown version"
        return f"source: your own copy ({version}), used as it is; tested was {upstream.version}"
    return f"source: {upstream.version}, commit {upstream.commit[:12]}; {upstream.licence_note}"


def _upstream(context: Context) -> Upstream:
    upstream = context.engine.upstream
    if upstream is None:
        raise ValueError(f"{context.engine.name} has no program of others to fetch")
    return upstream


def _inputs(context: Context) -> object:
    upstream = _upstream(context)
    if checkout.is_own(context.core, upstream):
        return ["own", checkout.version_of(context.core, upstream)]
    return [upstream.commit, upstream.tree]


def _is_intact(context: Context) -> bool:
    upstream = _upstream(context)
    if checkout.is_own(context.core, upstream):
        return True
    manifest = checkout.read_manifest(context.core)
    return (
        manifest is not None
        and manifest.is_whole
        and manifest.commit == upstream.commit
        and tree_id(manifest.files) == upstream.tree
        and next(checkout.damaged(context.core, manifest.files), None) is None
    )


def _run(context: Context, facts: dict[str, Any]) -> None:
    upstream = _upstream(context)
    own = checkout.is_own(context.core, upstream)
    facts["source"] = "own" if own else upstream.commit
    if own:
        version = checkout.version_of(context.core, upstream)
        facts["source_version"] = version
        if version != upstream.version:
            context.console.warn(
                f"Your own copy in {context.engine.core_folder} is {version or 'of unknown version'}; All-in-one was "
                f"tested with {upstream.version}. It is used as it is."
            )
        return
    facts["source_version"] = upstream.version
    if _is_intact(context):
        return
    stage = context.core / _STAGE
    try:
        for attempt in range(2):
            shutil.rmtree(stage, ignore_errors=True)
            files = _verified(context, upstream, stage, is_last=attempt == 1)
            if files is not None:
                break
        else:
            raise AssertionError("the last attempt ends in files or an error")
        _place(context, upstream, stage, files)
        download.forget(_archive(context, upstream))
    except OSError as error:
        raise _disk_trouble(error) from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _archive(context: Context, upstream: Upstream) -> Path:
    return context.core / "cache" / f"source-{upstream.commit[:12]}.tar.gz"


def _verified(context: Context, upstream: Upstream, stage: Path, *, is_last: bool) -> dict[str, Blob] | None:
    """Download, unpack into `stage` and compare; None when an archive made of parts is to be fetched in one piece."""
    archive = _archive(context, upstream)
    is_of_parts = _download(context, upstream, archive)
    try:
        files = unpack.unpack(archive, stage, BOUNDS, enter=lambda path: _check_length(context.core, path))
        tree = tree_id(files)
        trouble = None if tree == upstream.tree else f"its tree is {tree}, wanted is {upstream.tree}"
        may_be_torn = trouble is not None
    except unpack.UnpackError as error:
        trouble, may_be_torn = str(error), error.is_broken
    if trouble is None:
        return files
    download.forget(archive)
    if may_be_torn and is_of_parts and not is_last:
        context.console.warn("The parts of the download do not fit each other; it is fetched anew")
        return None
    raise error_of(NAME, WRONG.message, WRONG, (trouble,))


def _download(context: Context, upstream: Upstream, archive: Path) -> bool:
    """Fetch the archive, going on after a broken connection; True when it came in parts."""
    address = f"{context.sources.github}/{upstream.path}/archive/{upstream.commit}.tar.gz"
    archive.parent.mkdir(parents=True, exist_ok=True)
    if archive.is_file():  # of a run that was cut short
        return True
    deadline = time.monotonic() + DEADLINE_S
    about = upstream.about_mib << 20
    for attempt in range(1, ATTEMPTS + 1):
        bar = context.console.progress()
        try:
            seen = partial(_show, bar, about)
            return download.fetch(address, archive, limit=MAX_ARCHIVE_BYTES, deadline=deadline, seen=seen)
        except download.DownloadError as error:
            if not error.is_network or attempt == ATTEMPTS:
                said = f"{without_secret(address)}: {error}"
                raise error_of(NAME, UNREACHABLE.message, UNREACHABLE, (said,)) from error
        finally:
            bar.close()
        pause_before(context, attempt + 1)
    raise AssertionError("the last attempt ends in a file or an error")


def _show(bar: ProgressBar, about: int, have: int, total: int | None) -> None:
    """The server does not always say how much there is."""
    bar.update(min(99, have * 100 // (total or about)), NAME, f"{have >> 20} MiB")


def _place(context: Context, upstream: Upstream, stage: Path, files: dict[str, Blob]) -> None:
    core = context.core
    manifest = checkout.read_manifest(core)
    old = dict(manifest.files) if manifest is not None else {}
    strange = checkout.foreign(core, files, old)
    if strange:
        raise LauncherError(
            Exit.ENVIRONMENT,
            f"Step “{NAME}” failed. {context.engine.core_folder} holds files that are not of this installer, where its "
            "own go.",
            details=tuple(strange[:6]),
            fix=f"move them out of {core}, then run this again.",
            fix_zh=f"请把这些文件移出 {core}，然后再次运行。",
        )
    for path in checkout.put_in_place(core, stage, Manifest(upstream.commit, True, files), old):
        context.console.warn(
            f"You had changed {path}; your version is kept as {path}{checkout.CHANGED_SUFFIX}"
        )


def _check_length(core: Path, path: str) -> None:
    """Find out before a file is half written that its path is too long here."""
    longest = core / _STAGE / path
    if sys.platform == "win32" and len(str(longest)) > WINDOWS_PATH and not _takes_long_paths(core):
        raise error_of(NAME, LONG.message, LONG, (str(longest),))


def _takes_long_paths(core: Path) -> bool:
    trial = core / _STAGE / ("x" * 120) / ("y" * 120)
    try:
        trial.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return True


def _disk_trouble(error: OSError) -> LauncherError:
    full = error.errno in _NO_SPACE or getattr(error, "winerror", None) in _NO_SPACE
    cause = DISK if full else DENIED
    return error_of(NAME, cause.message, cause, (str(error),))


SOURCE = Step(
    name=NAME,
    title="the program itself",
    inputs=_inputs,
    is_intact=_is_intact,
    run=_run,
    about_mib=lambda c: 0 if checkout.is_own(c.core, _upstream(c)) else _upstream(c).about_mib,
)
