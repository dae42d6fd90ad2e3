"""The table of Wan2GP's models that clone a voice: `assets/wan2gp/voices.json`. Runs in the wan2gp worker.

Flow: file -> one `Voice` per engine of speech -> the settings of one generation, complete but for the words, the
sample and the seed. The service reads names, titles, languages and weights out of the same file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workers.handler import TaskError
from workers.speech.text.language import Language, is_han, is_kana, is_latin

FILE = Path("wan2gp") / "voices.json"
VERSION = 1


@dataclass(frozen=True)
class Voice:
    """One model. `name` is the engine on the wire, `model` what people call the model.

    `languages`: its own word for each language of ours; `mixed`: its word for Chinese with Latin words among it,
    None when it needs none. `max_characters`: the most that it says well in one go. `transcript_max_s`: up to which
    length of the sample it is told what is said in it; None when it wants no transcript. `words_apart`: Chinese is
    written with a space between its words.
    """

    name: str
    model: str
    model_type: str
    languages: Mapping[Language, str]
    mixed: str | None
    max_characters: int | None
    transcript_max_s: float | None
    words_apart: bool
    settings: Mapping[str, Any]

    def mode(self, text: str, language: Language) -> str:
        """The model's word for the language of `text`. Raises TaskError(engine_unavailable)."""
        known = self.languages.get(language)
        if known is None:
            raise TaskError(
                "engine_unavailable",
                f"{self.model} does not speak this language ({language}).",
            )
        return self.mixed if self.mixed is not None and language != "ja" and _is_mixed(text) else known


def _is_mixed(text: str) -> bool:
    return any(map(is_latin, text)) and any(map(is_han, text)) and not any(map(is_kana, text))


def load_voices(assets_dir: Path) -> dict[str, Voice]:
    """The voices by name. Raises TaskError(internal_error) for a file that is not the one of this release."""
    path = assets_dir / FILE
    try:
        table = json.loads(path.read_text("utf-8"))
        if table["version"] != VERSION:
            raise ValueError(f"version {table['version']!r}")
        voices = [_voice(row, table["common"]) for row in table["voices"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TaskError(
            "internal_error",
            "The table of Wan2GP's voices is damaged. Install All-in-one again.",
            detail=f"{FILE.as_posix()}: {error!r}",
        ) from error
    return {voice.name: voice for voice in voices}


def _voice(row: Mapping[str, Any], common: Mapping[str, Any]) -> Voice:
    return Voice(
        name=row["name"],
        model=row["model"],
        model_type=row["model_type"],
        languages=row["languages"],
        mixed=row["mixed"],
        max_characters=row["max_characters"],
        transcript_max_s=row["transcript_max_s"],
        words_apart=row["words_apart"],
        settings={**common, **row["settings"]},
    )
