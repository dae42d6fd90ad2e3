"""Mirrors: settings first, measured when asked; and what uv's messages mean."""

from __future__ import annotations

from pathlib import Path

import pytest

from installer import sources
from installer.causes import cause_of
from installer.sources import KINDS, Sources, configured, fastest, measured, without_secret
from launcher.errors import Exit, LauncherError
from tests.support.fake_registry import Registry, serving, wheel


def test_the_environment_wins_over_env_file_and_that_over_the_default(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "TORCH_INDEX_URL=https://torch.example/whl/\nHF_ENDPOINT=https://hf.example\n"
    )
    found = configured(tmp_path, {"HF_ENDPOINT": "https://other.example/"})
    assert found.torch == "https://torch.example/whl"
    assert found.hugging_face == "https://other.example"
    assert (found.pypi, found.github) == (sources.PYPI, sources.GITHUB)


@pytest.mark.parametrize("setting", ["TORCH_INDEX_URL", "GITHUB_MIRROR", "HF_ENDPOINT"])
def test_a_mirror_without_its_scheme_is_refused_with_an_example(tmp_path: Path, setting: str) -> None:
    with pytest.raises(LauncherError, match=setting) as refused:
        configured(tmp_path, {setting: "mirror.example"})
    assert refused.value.status is Exit.SETTINGS
    assert "https://" in refused.value.fix
    assert configured(tmp_path, {setting: ""}) == Sources()


def test_the_mirror_that_delivers_most_is_chosen_and_silence_keeps_the_setting() -> None:
    speeds = {
        f"{KINDS['pypi'].mirrors[1]}{KINDS['pypi'].probe}": 900.0,
        f"{sources.PYPI}{KINDS['pypi'].probe}": 50.0,
    }
    chosen, rates = fastest(Sources(torch="https://own.example"), lambda address: speeds.get(address, 0.0))
    assert chosen.pypi == KINDS["pypi"].mirrors[1]
    assert chosen.torch == "https://own.example"
    assert rates["pypi"][sources.PYPI] == 50.0
    assert "https://own.example" in rates["torch"]


def test_of_equally_fast_ones_the_own_setting_stays() -> None:
    chosen, _ = fastest(Sources(pypi="https://own.example"), lambda address: 100.0)
    assert chosen.pypi == "https://own.example"


def test_a_measurement_asks_the_address_and_counts_only_proper_answers() -> None:
    with serving(Registry([wheel("torch", "1.0", {"torch.py": "#" * 50_000})])) as registry:
        assert measured(f"{registry.address}/simple/torch") > 0
        assert measured(f"{registry.address}/gone/torch") == 0
        address = registry.address
    assert measured(f"{address}/simple/torch") == 0
    assert measured("file:///etc/passwd") == 0


def test_a_password_in_an_address_is_not_shown() -> None:
    assert without_secret("https://me:secret@host/simple") == "https://host/simple"
    assert without_secret("https://host/a@b") == "https://host/a@b"


@pytest.mark.parametrize(
    ("text", "status", "is_network"),
    [
        (
            "error: Failed to fetch: `https://…/simple/torch/`\n  Caused by: error sending request",
            Exit.DEPENDENCIES,
            True,
        ),
        ("  x No solution found when resolving dependencies", Exit.DEPENDENCIES, False),
        (
            "NewConnectionError: name resolution\nERROR: No matching distribution found",
            Exit.DEPENDENCIES,
            True,
        ),
        ("error: No space left on device (os error 28)", Exit.DISK, False),
        (
            "error: Failed to download `torch`\n  Caused by: No space left on device (os error 28)",
            Exit.DISK,
            False,
        ),
        ("Hash mismatch for `numpy==2.4.6`", Exit.DEPENDENCIES, False),
        ("error: failed to remove file: Access is denied. (os error 5)", Exit.DEPENDENCIES, False),
        ("something new", Exit.DEPENDENCIES, False),
    ],
)
def test_what_uv_says_is_understood(text: str, status: Exit, is_network: bool) -> None:
    cause = cause_of(text)
    assert (cause.status, cause.is_network) == (status, is_network)
    assert cause.fix
    assert cause.fix_zh
