"""Reading Markdown pages for the tests of the documentation: headings, tables, code blocks, sections."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
# A cell may hold an escaped bar.
_BAR = re.compile(r"(?<!\\)\|")
_RULE = re.compile(r"\|[\s:|-]+\|")


@dataclass(frozen=True)
class Heading:
    level: int
    text: str


@dataclass(frozen=True)
class Code:
    """A fenced block; `info` is what follows the fence, usually the language."""

    info: str
    body: str


Table = list[list[str]]


def page(name: str) -> str:
    """The text of a page of the repository."""
    return (ROOT / name).read_text(encoding="utf-8")


def code_blocks(text: str) -> list[Code]:
    return [Code(*found) for found in re.findall(r"^```([^\n]*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)]


def prose(text: str) -> str:
    """The text without its code blocks."""
    return re.sub(r"^```[^\n]*\n.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)


def headings(text: str) -> list[Heading]:
    found = re.findall(r"^(#{1,6}) (.+)$", prose(text), re.MULTILINE)
    return [Heading(len(marks), title.strip()) for marks, title in found]


def section(text: str, heading: str) -> str:
    """What stands under a heading, its sub-sections included. Fails when the heading is not there."""
    marks = heading.split(" ", 1)[0]
    _head, found, rest = ("\n" + text).partition(f"\n{heading}\n")
    assert found, f"there is no heading {heading!r}"
    end = re.search(rf"^#{{1,{len(marks)}}} ", _without_code_headings(rest), re.MULTILINE)
    return rest[: end.start()] if end else rest


def _without_code_headings(text: str) -> str:
    """Same length; `#` at the beginning of a line of a code block is no heading."""
    return re.sub(
        r"^```[^\n]*\n.*?^```$",
        lambda block: block.group().replace("#", "·"),
        text,
        flags=re.DOTALL | re.MULTILINE,
    )


def tables(text: str) -> list[Table]:
    """All tables: rows of trimmed cells, the header row first, the rule below it left out."""
    found: list[Table] = []
    is_open = False
    for line in prose(text).splitlines():
        if not line.startswith("|"):
            is_open = False
            continue
        if not is_open:
            found.append([])
            is_open = True
        if not _RULE.fullmatch(line.strip()):
            found[-1].append([cell.strip() for cell in _BAR.split(line.strip())[1:-1]])
    return found


def words(text: str) -> list[str]:
    """Everything in backticks, in order."""
    return re.findall(r"`([^`\n]+)`", text)


def column(table: Table, index: int = 0) -> list[str]:
    """The words in backticks of one column, without the header; a cell without any gives its text."""
    cells = [row[index] for row in table[1:]]
    return [words(cell)[0] if words(cell) else cell for cell in cells]


def type_of(schema: dict[str, Any]) -> str:
    """A JSON schema of the API as it is written in docs/api.md."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(type_of(option) for option in schema["anyOf"])
    if "const" in schema:
        return f"`{_literal(schema['const'])}`"
    if "enum" in schema:
        return "one of " + ", ".join(f"`{_literal(value)}`" for value in schema["enum"])
    if "contentMediaType" in schema or schema.get("format") == "binary":
        return "file"
    kind = str(schema.get("type", "any"))
    if kind == "array":
        return f"list of {type_of(schema['items'])}"
    low = schema.get("minimum", schema.get("minLength"))
    high = schema.get("maximum", schema.get("maxLength"))
    if high is not None:
        return (
            f"{kind}, {_number(low)}–{_number(high)}"
            if low is not None
            else f"{kind}, at most {_number(high)}"
        )
    return kind


def default_of(name: str, model: dict[str, Any]) -> str:
    """The default of a request field as it is written in docs/api.md."""
    if name in model.get("required", ()):
        return "required"
    schema = model["properties"][name]
    return f"`{_literal(schema['default'])}`" if "default" in schema else "–"


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else str(value)


def _literal(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return f'"{value}"' if value == "" else str(value)
