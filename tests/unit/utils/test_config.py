"""What the settings make of what people write into them."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from backend.utils.config import Settings, load_settings
from tests.support.studio import settings_in


@pytest.mark.parametrize(
    ("written", "names"),
    [
        ("", ()),
        ("studio.local", ("studio.local",)),
        (" Studio.Local , other ", ("studio.local", "other")),
        ("studio.local:8000", ("studio.local",)),
        ("[::1]:8000,[fe80::1]", ("::1", "fe80::1")),
        ("fe80::1", ("fe80::1",)),
        ("192.168.1.20:80,", ("192.168.1.20",)),
    ],
)
def test_allowed_hosts_are_names_however_they_were_copied(
    tmp_path: Path, written: str, names: tuple[str, ...]
) -> None:
    assert settings_in(tmp_path, allowed_hosts=written).extra_hosts == names


@pytest.mark.parametrize(
    "line",
    ["FETCH_PROXY=192.168.1.2:8080", "SCRIPT_API_KEY=密钥", "API_KEY=密钥", "MODEL_FOLDERS=~nosuchuser/m", "DATA_DIR=~nosuchuser/d"],
)  # fmt: skip
def test_a_line_of_the_file_that_cannot_work_is_named_and_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    name, _, value = line.partition("=")
    monkeypatch.delenv(name, raising=False)
    env = tmp_path / "wrong.env"
    env.write_text(f"{line}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=name.lower()) as caught:
        load_settings(env)
    assert value not in str(caught.value)


def test_the_proxy_and_the_key_that_are_accepted_are_those_that_the_client_takes(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, fetch_proxy="https://proxy.example:7890", script_api_key="sk-1234")
    assert settings.fetch_proxy is not None
    assert settings.script_api_key is not None
    assert str(httpx.Proxy(settings.fetch_proxy).url) == "https://proxy.example:7890"
    assert httpx.Headers({"Authorization": settings.script_api_key.get_secret_value()}).raw


def test_a_blank_line_of_the_file_leaves_every_setting_at_its_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blank = tmp_path / "blank.env"
    blank.write_text("".join(f"{name.upper()}=\n" for name in Settings.model_fields), encoding="utf-8")
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    assert load_settings(blank) == load_settings(tmp_path / "absent.env")


def test_a_folder_that_no_system_can_have_is_refused_by_its_name(tmp_path: Path) -> None:
    env = tmp_path / "wrong.env"
    env.write_bytes(b"LOGS_DIR=a\0b\n")
    with pytest.raises(ValueError, match=r"logs_dir[\s\S]*NUL"):
        load_settings(env)
