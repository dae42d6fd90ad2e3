"""What the test wants of the stand-in, and what the stand-in saw. Read and written by both processes.

`orders.json` is read anew at every load and every drawing; `seen.jsonl` gets one line for each.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

VARIABLE = "AIO_TEST_WAN2GP_ORDERS"


class Orders:
    """One folder with both files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def of_environment(cls) -> Orders:
        return cls(Path(os.environ[VARIABLE]))

    def give(self, **orders: Any) -> None:
        """Replace the orders. `load`, `draw`: ok or what goes wrong; `load_s`, `step_s`: how long it takes."""
        draft = self.folder / "orders.tmp"
        draft.write_text(json.dumps(orders), encoding="utf-8")
        draft.replace(self.folder / "orders.json")

    def get(self, name: str, default: Any) -> Any:
        try:
            orders = json.loads((self.folder / "orders.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return default
        return orders.get(name, default)

    def note(self, what: str, **facts: Any) -> None:
        with (self.folder / "seen.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps({"what": what, **facts}, default=str) + "\n")

    def seen(self, what: str) -> list[dict[str, Any]]:
        """The notes of one kind, in order."""
        try:
            lines = (self.folder / "seen.jsonl").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        return [note for note in map(json.loads, lines) if note["what"] == what]

    def forget(self) -> None:
        """Begin a new page of notes."""
        (self.folder / "seen.jsonl").unlink(missing_ok=True)
