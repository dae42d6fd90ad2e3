"""The stand-in for an installed Wan2GP in a folder of the test's own, and what it was asked to do."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from tests.media_samples import FFMPEG

FIXTURE = Path(__file__).resolve().parents[1] / "fixtures" / "wan2gp"


class FakeWan2GP:
    """`root` is what the installer would have made: a folder with wgp.py."""

    def __init__(self, root: Path) -> None:
        self.root = root
        shutil.copytree(FIXTURE / "upstream", root, ignore=shutil.ignore_patterns("__pycache__"))
        if sys.platform != "win32":
            # Where the installer lays them; the stand-in itself never starts ffprobe.
            tools = root / "tools" / "ffmpeg"
            tools.mkdir(parents=True)
            for name in ("ffmpeg", "ffprobe"):
                (tools / name).symlink_to(FFMPEG.binary)

    def behave(self, *rules: dict[str, Any], **scenario: Any) -> None:
        """What the next tasks meet; see fakery/scenario.py. Counts of earlier rules are forgotten."""
        (self.root / "counts.json").unlink(missing_ok=True)
        (self.root / "scenario.json").write_text(json.dumps({**scenario, "rules": list(rules)}), "utf-8")

    def notes(self, what: str) -> list[dict[str, Any]]:
        """What it wrote down, oldest first: init, task, load, call, release."""
        path = self.root / "calls.jsonl"
        lines = path.read_text("utf-8").split("\n")[:-1] if path.is_file() else []
        return [note for note in map(json.loads, lines) if note["what"] == what]

    def tasks(self) -> list[dict[str, Any]]:
        """The settings of every task as they reached it."""
        return [note["settings"] for note in self.notes("task")]
