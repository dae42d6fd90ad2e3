"""The page's files, read and parsed for the tests beside this module."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
WEBUI = ROOT / "webui"
SCRIPTS = sorted((WEBUI / "js").rglob("*.js"))
STYLES = sorted((WEBUI / "css").glob("*.css"))
LOCALES = {path.stem: path for path in sorted((WEBUI / "locales").glob("*.json"))}

# Comments that begin a line; `/*` within a line may be part of a string such as "image/*".
_COMMENT = re.compile(r"^[ \t]*(?:/\*.*?\*/|//[^\n]*)", re.DOTALL | re.MULTILINE)


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def code_of(path: Path) -> str:
    """A script or style sheet without the comments that stand on lines of their own."""
    return _COMMENT.sub("", read(path))


def table_of(path: Path) -> dict[str, str]:
    """A locale table; a key written twice is an error, which plain `json.loads` would hide."""

    def unique(pairs: list[tuple[str, str]]) -> dict[str, str]:
        keys = [key for key, _ in pairs]
        repeated = {key for key in keys if keys.count(key) > 1}
        assert not repeated, f"{path.name} repeats {repeated}"
        return dict(pairs)

    table = json.loads(read(path), object_pairs_hook=unique)
    assert isinstance(table, dict)
    return table


@dataclass
class Page(HTMLParser):
    """index.html as a flat list of tags with their attributes."""

    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    inline_script: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self._inside: str | None = None
        self.feed(read(WEBUI / "index.html"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag if tag in {"script", "style"} else None

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self._inside and data.strip():
            self.inline_script.append(data)

    def values(self, attribute: str) -> list[str]:
        """Every value of an attribute, in document order."""
        return [value for _, attrs in self.tags if (value := attrs.get(attribute)) is not None]
