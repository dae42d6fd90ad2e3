"""Titles as names of files that every system takes. Pure; runs in the service process."""

from __future__ import annotations

MAX_STEM_CHARS = 100
# Linux and macOS take names of 255 bytes, and a Chinese character has three. What is left is for " (2)" and
# ".provenance.json".
MAX_STEM_BYTES = 200
# What no file may be called on Windows, whatever its extension ("Naming Files, Paths, and Namespaces").
_RESERVED = frozenset(
    {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(10))}
)


def safe_stem(title: str, otherwise: str = "video") -> str:
    """`title` without separators, characters that cannot be seen and reserved names; `otherwise` when nothing is left."""
    kept = "".join("_" if char in '\\/:*?"<>|' or not char.isprintable() else char for char in title)
    short = kept[:MAX_STEM_CHARS].encode()[:MAX_STEM_BYTES].decode(errors="ignore")
    stem = short.strip(". ") or otherwise
    return f"_{stem}" if stem.partition(".")[0].strip().lower() in _RESERVED else stem


def safe_name(name: str) -> str:
    """The same for a name with an ending, which stays."""
    stem, dot, ending = name.rpartition(".")
    return f"{safe_stem(stem)}{dot}{ending}"


def unique_stems(titles: list[str]) -> list[str]:
    """`safe_stem` of each, told apart by " (2)", " (3)" where they would meet, also on systems that ignore case."""
    taken: set[str] = set()
    found = []
    for title in titles:
        stem = safe_stem(title)
        name, number = stem, 1
        while name.casefold() in taken:
            number += 1
            name = f"{stem} ({number})"
        taken.add(name.casefold())
        found.append(name)
    return found
