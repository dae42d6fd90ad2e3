"""The folders on disk and the lock that keeps a second instance away from them.

Runs in the service process at start-up; free functions over paths, nothing happens at import.
The lock also refuses `uvicorn --workers 2`: two processes would reap each other's jobs.
"""

from __future__ import annotations

import importlib
import os
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from backend.models.codes import ErrorCode
from backend.storage.blobs import make_folder
from backend.storage.errors import StoreUnusable

LOCK_NAME = ".lock"
# Windows locks are mandatory: the locked byte lies behind the process id, which others may read.
_LOCK_OFFSET = 1024
# File systems without the shared memory that SQLite's write-ahead log needs (sqlite.org/wal.html).
_NETWORK_FILE_SYSTEMS = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "afpfs", "fuse.sshfs", "ceph"})
_MOUNT_TABLE = Path("/proc/self/mounts")


@dataclass(frozen=True)
class DataLayout:
    """Where things live below data/ and logs/; all paths absolute."""

    data: Path
    logs: Path
    uploads: Path
    outputs: Path
    work: Path
    checkpoints: Path
    speech_cache: Path
    models: Path
    hf_cache: Path
    backups: Path
    database: Path


def layout_of(data_dir: Path, logs_dir: Path) -> DataLayout:
    """The paths, without touching the disk."""
    data = data_dir.absolute()
    return DataLayout(
        data=data,
        logs=logs_dir.absolute(),
        uploads=data / "uploads",
        outputs=data / "outputs",
        work=data / "work",
        checkpoints=data / "checkpoints",
        speech_cache=data / "cache" / "speech",
        models=data / "models",
        hf_cache=data / "hf_cache",
        backups=data / "backups",
        database=data / "sqlite.db",
    )


def prepare_directories(data_dir: Path, logs_dir: Path) -> DataLayout:
    """Make every folder that is missing. Raises `StoreUnusable` when the disk refuses."""
    layout = layout_of(data_dir, logs_dir)
    folders = (
        layout.logs,
        layout.uploads,
        layout.outputs,
        layout.work,
        layout.checkpoints,
        layout.speech_cache,
        layout.models,
        layout.hf_cache,
        layout.backups,
    )
    try:
        for folder in folders:
            make_folder(folder)
    except OSError as error:
        raise StoreUnusable(
            ErrorCode.INTERNAL_ERROR,
            f"The folder {error.filename} cannot be made: {error.strerror}.",
            hint="Check the rights of the project folder, or that no file has this name.",
        ) from error
    if is_network_share(layout.data):
        raise StoreUnusable(
            ErrorCode.INTERNAL_ERROR,
            f"The data folder {layout.data} is on a network share, where the database is not safe.",
            hint="Move the project, or its data folder, to a local disk.",
        )
    return layout


def is_network_share(folder: Path, mount_table: Path = _MOUNT_TABLE) -> bool:
    """Whether `folder` is known to be on a network share: a UNC path, or by the mount table if there is one."""
    if str(folder).startswith(("\\\\", "//")):
        return True
    try:
        lines = mount_table.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return False
    real = folder.resolve()
    best_length, best_type = -1, ""
    for line in lines:
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        # The kernel writes blanks in paths as octal escapes (proc(5)).
        mount = Path(fields[1].replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\"))
        if (mount == real or mount in real.parents) and len(mount.parts) >= best_length:
            best_length, best_type = len(mount.parts), fields[2]
    return best_type in _NETWORK_FILE_SYSTEMS


def _module(name: str) -> ModuleType | None:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


class InstanceLock:
    """The exclusive right to one data folder, held until `release` or the end of the process.

    The operating system drops the lock when the process dies, however it dies. The Windows branch
    (msvcrt) was not tested on Windows.
    """

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / LOCK_NAME
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock now or raise `StoreUnusable`. Taking it twice is no error."""
        if self._descriptor is not None:
            return
        # os.open's descriptors are not inherited, so a worker cannot keep the lock alive after us.
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            self._lock(descriptor)
        except OSError as error:
            holder = self._holder(descriptor)
            os.close(descriptor)
            raise StoreUnusable(
                ErrorCode.NOT_READY,
                f"Another instance already uses the data folder {self._path.parent}{holder}.",
                hint="Close the other window, or end that process, then start again. "
                "Start uvicorn without --workers: this service is one process.",
            ) from error
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, str(os.getpid()).encode("ascii"))
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the lock back. The file stays: removing it would open a race. Idempotent."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    @staticmethod
    def _lock(descriptor: int) -> None:
        fcntl, msvcrt = _module("fcntl"), _module("msvcrt")
        if fcntl is not None:
            # flock, not lockf: a record lock is lost when any descriptor of the file is closed.
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        elif msvcrt is not None:
            os.lseek(descriptor, _LOCK_OFFSET, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            raise OSError("this system offers no file locks")

    @staticmethod
    def _holder(descriptor: int) -> str:
        try:
            os.lseek(descriptor, 0, os.SEEK_SET)
            text = os.read(descriptor, 16).decode("ascii", errors="replace").strip()
        except OSError:
            return ""
        return f" (process {text})" if text.isdigit() else ""
