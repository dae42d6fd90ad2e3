"""What the settings make of what people write into them."""

from __future__ import annotations

from pathlib import Path

import pytest

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
