"""Folders, the lock on them, and where a database would not be safe."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from backend.storage.errors import StoreUnusable
from backend.storage.setup import LOCK_NAME, InstanceLock, is_network_share, prepare_directories


def test_every_folder_is_made_and_making_them_again_is_no_error(tmp_path: Path) -> None:
    for _ in range(2):
        layout = prepare_directories(tmp_path / "我的 data", tmp_path / "logs")
    names = {path.relative_to(layout.data).as_posix() for path in layout.data.rglob("*")}
    assert names == {
        "uploads",
        "outputs",
        "work",
        "checkpoints",
        "cache",
        "cache/speech",
        "models",
        "hf_cache",
        "backups",
    }
    assert layout.logs.is_dir()
    assert layout.database == layout.data / "sqlite.db"


def test_a_file_in_the_place_of_a_folder_is_named_with_a_fix(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "uploads").write_text("in the way")
    with pytest.raises(StoreUnusable, match="uploads") as caught:
        prepare_directories(tmp_path / "data", tmp_path / "logs")
    assert caught.value.hint


def test_a_second_lock_on_the_same_folder_is_refused_and_names_the_holder(tmp_path: Path) -> None:
    first, second = InstanceLock(tmp_path), InstanceLock(tmp_path)
    first.acquire()
    first.acquire()
    with pytest.raises(StoreUnusable, match=rf"process {os.getpid()}") as caught:
        second.acquire()
    assert "--workers" in (caught.value.hint or "")
    first.release()
    first.release()
    second.acquire()
    second.release()
    assert (tmp_path / LOCK_NAME).exists()


def test_a_lock_file_that_a_crash_left_behind_does_not_lock(tmp_path: Path) -> None:
    (tmp_path / LOCK_NAME).write_text("4242424242")
    lock = InstanceLock(tmp_path)
    lock.acquire()
    assert (tmp_path / LOCK_NAME).read_text() == str(os.getpid())
    lock.release()


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("/dev/sda1 / ext4 rw 0 0\n", False),
        ("/dev/sda1 / ext4 rw 0 0\nserver:/x {folder} nfs4 rw 0 0\n", True),
        ("//server/x {parent} cifs rw 0 0\n/dev/sdb1 {folder} ext4 rw 0 0\n", False),
        ("server:/x {folder}-other nfs rw 0 0\n/dev/sda1 / ext4 rw 0 0\n", False),
        ("short\n", False),
    ],
)
def test_a_network_share_is_known_by_the_mount_table(tmp_path: Path, table: str, expected: bool) -> None:
    folder = tmp_path / "with blank"
    folder.mkdir()
    quoted = {"folder": str(folder.resolve()), "parent": str(tmp_path.resolve())}
    mounts = tmp_path / "mounts"
    mounts.write_text(table.format(**{name: text.replace(" ", "\\040") for name, text in quoted.items()}))
    assert is_network_share(folder, mounts) is expected


def test_a_unc_path_is_a_network_share_and_a_missing_mount_table_is_none(tmp_path: Path) -> None:
    assert is_network_share(Path("//server/share/data"), tmp_path / "none")
    assert not is_network_share(tmp_path, tmp_path / "none")


def test_a_data_folder_on_a_share_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backend.storage.setup.is_network_share", lambda _folder: True)
    with pytest.raises(StoreUnusable, match="network share"):
        prepare_directories(tmp_path / "data", tmp_path / "logs")
