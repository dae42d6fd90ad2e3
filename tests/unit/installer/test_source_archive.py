"""What comes from the network as the source of a program: its id, its unpacking, its download."""

from __future__ import annotations

import shutil
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from installer import download, unpack
from installer.git_tree import Blob, blob_id, tree_id
from installer.unpack import Bounds, UnpackError
from tests.support.fake_github import EXECUTABLE, FILES, TOP, GitHub, archive, git_tree, serving_archive

BOUNDS = Bounds(files=100, total_bytes=1 << 20)
FAR = 60.0


def _blobs() -> dict[str, Blob]:
    return {path: Blob(blob_id(text.encode()), path in EXECUTABLE) for path, text in FILES.items()}


# --- the tree id ---------------------------------------------------------------------------------


def test_a_file_gets_the_id_that_git_gives_it() -> None:
    assert blob_id(b"") == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
    assert blob_id(b"hello\n") == "ce013625030ba8dba906f756967f9e9ca394464a"
    assert tree_id({}) == "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


@pytest.mark.skipif(shutil.which("git") is None, reason="git is the witness")
def test_a_folder_gets_the_id_that_git_gives_it(tmp_path: Path) -> None:
    assert tree_id(_blobs()) == git_tree(tmp_path / "repo")


def test_a_name_a_bit_or_a_byte_more_gives_another_id() -> None:
    blobs = _blobs()
    ids = {
        tree_id(blobs),
        tree_id({**blobs, "wgp.py": Blob(blob_id(b"other"))}),
        tree_id({**blobs, "wgp.py": Blob(blobs["wgp.py"].digest, is_executable=True)}),
        tree_id({**blobs, "shared/more.py": Blob(blob_id(b""))}),
        tree_id({path: blob for path, blob in blobs.items() if path != "LICENSE.txt"}),
    }
    assert len(ids) == 5


# --- unpacking -----------------------------------------------------------------------------------


def _unpacked(folder: Path, data: bytes, bounds: Bounds = BOUNDS) -> dict[str, Blob]:
    packed = folder / "a.tar.gz"
    packed.write_bytes(data)
    return unpack.unpack(packed, folder / "out", bounds)


def test_an_archive_is_unpacked_without_its_top_folder_and_told_by_git_ids(tmp_path: Path) -> None:
    assert _unpacked(tmp_path, archive()) == _blobs()
    for path, text in FILES.items():
        assert (tmp_path / "out" / path).read_text(encoding="utf-8") == text


def _entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 0) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname, entry.size = kind, link, size
    return entry


EVIL = {
    "a link out of the folder": _entry(f"{TOP}/models/link", tarfile.SYMTYPE, "../../../../etc/passwd"),
    "a link inside of it": _entry(f"{TOP}/models/link", tarfile.SYMTYPE, "wan"),
    "a hard link": _entry(f"{TOP}/models/link", tarfile.LNKTYPE, f"{TOP}/wgp.py"),
    "a device": _entry(f"{TOP}/null", tarfile.CHRTYPE),
    "a pipe": _entry(f"{TOP}/pipe", tarfile.FIFOTYPE),
    "a path upwards": _entry(f"{TOP}/../../outside.txt"),
    "an absolute path": _entry("/tmp/outside.txt"),
    "a second top folder": _entry("elsewhere/outside.txt"),
    "a file beside the top folder": _entry("outside.txt"),
    "a path of Windows": _entry(f"{TOP}/..\\..\\outside.txt"),
    "a drive": _entry(f"{TOP}/C:outside.txt"),
    "a stream of Windows": _entry(f"{TOP}/wgp.py:hidden"),
    "a device of Windows": _entry(f"{TOP}/models/NUL.txt"),
    "a name that Windows shortens": _entry(f"{TOP}/models/wan. /x.py"),
    "git's own folder": _entry(f"{TOP}/.GIT/hooks/post-checkout"),
    "the same file twice": _entry(f"{TOP}/wgp.py"),
    "a file that differs in capitals": _entry(f"{TOP}/WGP.PY"),
    "a folder that differs in capitals": _entry(f"{TOP}/Shared/evil.py"),
    "a file in the place of a folder": _entry(f"{TOP}/shared"),
    "a folder in the place of a file": _entry(f"{TOP}/wgp.py/evil.py"),
    "a line break in a name": _entry(f"{TOP}/a\nb"),
}


@pytest.mark.parametrize("what", EVIL)
def test_an_archive_with_more_than_plain_files_is_refused(what: str, tmp_path: Path) -> None:
    before = set(tmp_path.parent.iterdir())
    with pytest.raises(UnpackError) as caught:
        _unpacked(tmp_path, archive(extra=(EVIL[what],)))
    assert not caught.value.is_broken
    assert set(tmp_path.parent.iterdir()) == before
    assert {path.name for path in tmp_path.iterdir()} <= {"a.tar.gz", "out"}
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_symlink()]
    assert not list(tmp_path.rglob("*evil*"))


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    huge = archive(extra=(_entry(f"{TOP}/zeros.bin", size=2 << 20),))
    assert len(huge) < 50_000
    with pytest.raises(UnpackError, match="more than 100 files or 1048576 bytes"):
        _unpacked(tmp_path, huge)


def test_an_archive_of_too_many_files_is_refused(tmp_path: Path) -> None:
    many = archive({f"f{number}": "" for number in range(101)})
    with pytest.raises(UnpackError, match="more than 100 files"):
        _unpacked(tmp_path, many)


@pytest.mark.parametrize("data", [archive()[:-200], b"<html>Sorry</html>", b"", archive({})])
def test_a_damaged_or_empty_archive_is_told_from_an_evil_one(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(UnpackError) as caught:
        _unpacked(tmp_path, data)
    assert caught.value.is_broken


# --- downloading ---------------------------------------------------------------------------------


@pytest.fixture
def github() -> Iterator[GitHub]:
    with serving_archive(GitHub(bytes(range(256)) * 4096)) as served:
        yield served


def _fetch(github: GitHub, target: Path, limit: int = 1 << 24) -> bool:
    return download.fetch(f"{github.address}/a", target, limit=limit, deadline=time.monotonic() + FAR)


def test_a_file_comes_whole_and_leaves_nothing_else(github: GitHub, tmp_path: Path) -> None:
    assert _fetch(github, tmp_path / "a") is False
    assert (tmp_path / "a").read_bytes() == github.data
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("names_version", [True, False])
def test_a_cut_connection_is_gone_on_with_where_it_broke(
    github: GitHub, tmp_path: Path, names_version: bool
) -> None:
    github.cuts, github.names_version = [300_000], names_version
    with pytest.raises(download.DownloadError) as caught:
        _fetch(github, tmp_path / "a")
    assert caught.value.is_network
    assert not (tmp_path / "a").exists()
    assert _fetch(github, tmp_path / "a") is True
    assert (tmp_path / "a").read_bytes() == github.data
    assert [status for _, _, status in github.asked] == [200, 206]
    assert github.asked[1][1] == "bytes=300000-"


def test_a_server_that_knows_no_ranges_sends_all_of_it_again(github: GitHub, tmp_path: Path) -> None:
    github.cuts, github.ranges = [300_000], False
    with pytest.raises(download.DownloadError):
        _fetch(github, tmp_path / "a")
    assert _fetch(github, tmp_path / "a") is False
    assert (tmp_path / "a").read_bytes() == github.data


def test_a_file_that_changed_meanwhile_is_not_put_together_from_two(github: GitHub, tmp_path: Path) -> None:
    github.cuts = [300_000]
    with pytest.raises(download.DownloadError):
        _fetch(github, tmp_path / "a")
    github.data = github.data[::-1]
    assert _fetch(github, tmp_path / "a") is False
    assert (tmp_path / "a").read_bytes() == github.data


def test_a_part_that_is_longer_than_the_file_is_thrown_away(github: GitHub, tmp_path: Path) -> None:
    (tmp_path / "a.part").write_bytes(b"x" * (len(github.data) + 1))
    with pytest.raises(download.DownloadError, match="416"):
        _fetch(github, tmp_path / "a")
    assert _fetch(github, tmp_path / "a") is False
    assert (tmp_path / "a").read_bytes() == github.data


@pytest.mark.parametrize("tells_length", [True, False])
def test_a_file_that_is_too_large_is_not_taken(github: GitHub, tmp_path: Path, tells_length: bool) -> None:
    github.tells_length = tells_length
    with pytest.raises(download.DownloadError) as caught:
        _fetch(github, tmp_path / "a", limit=100_000)
    assert not caught.value.is_network
    there = tmp_path / "a.part"
    assert not there.exists() or there.stat().st_size <= 100_000


def test_an_answer_that_is_an_error_is_one_of_the_network(github: GitHub, tmp_path: Path) -> None:
    github.status = 503
    with pytest.raises(download.DownloadError, match="503") as caught:
        _fetch(github, tmp_path / "a")
    assert caught.value.is_network


def test_a_download_has_an_end(github: GitHub, tmp_path: Path) -> None:
    with pytest.raises(download.DownloadError, match="too long"):
        download.fetch(f"{github.address}/a", tmp_path / "a", limit=1 << 24, deadline=time.monotonic() - 1)


def test_only_the_web_is_asked(tmp_path: Path) -> None:
    with pytest.raises(download.DownloadError) as caught:
        download.fetch("file:///etc/passwd", tmp_path / "a", limit=1, deadline=time.monotonic() + FAR)
    assert not caught.value.is_network
