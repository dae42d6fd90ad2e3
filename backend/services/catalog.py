"""Voices and portraits that ship with the product, read once from `assets/`. Runs in the service process.

Their ids are made from their names, so they are the same on every machine and have the shape of any id.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.models.library import FaceView


@dataclass(frozen=True)
class BuiltinVoice:
    voice_id: str
    preset: str
    language: str
    gender: str | None
    name_zh: str
    name_en: str
    is_default: bool


@dataclass(frozen=True)
class BuiltinAvatar:
    avatar_id: str
    name_zh: str
    name_en: str
    image: Path
    thumbnail: Path
    width: int
    height: int
    faces: tuple[FaceView, ...]
    is_default: bool


def _plain(name: str) -> str:
    """`zf_xiaobei` → `zfxiaobei`: ids hold only a-z and 0-9."""
    return "".join(char for char in name.lower() if char.isascii() and char.isalnum())


def builtin_id(prefix: str, name: str) -> str:
    """`voice_builtinzfxiaobei`."""
    return f"{prefix}_builtin{_plain(name)}"


class Catalog:
    """What the assets folder offers. `load` reads the files; nothing is read at construction."""

    def __init__(self, assets_dir: Path) -> None:
        self._assets_dir = assets_dir
        self._voices: dict[str, BuiltinVoice] = {}
        self._avatars: dict[str, BuiltinAvatar] = {}

    def load(self) -> None:
        """Read the two lists. Raises OSError or ValueError when the installation is damaged."""
        voices = self._read("voices/voices.json")
        self._voices = {
            voice.voice_id: voice
            for voice in (
                BuiltinVoice(
                    voice_id=builtin_id("voice", entry["preset"]),
                    preset=entry["preset"],
                    language=entry["language"],
                    gender=entry.get("gender"),
                    name_zh=entry["name_zh"],
                    name_en=entry["name_en"],
                    is_default=bool(entry.get("default", False)),
                )
                for entry in voices
            )
        }
        portraits = self._read("portraits/portraits.json")
        folder = self._assets_dir / "portraits"
        self._avatars = {
            avatar.avatar_id: avatar
            for avatar in (
                BuiltinAvatar(
                    avatar_id=builtin_id("avatar", entry["avatar"]),
                    name_zh=entry["name_zh"],
                    name_en=entry["name_en"],
                    image=folder / entry["file"],
                    thumbnail=folder / entry.get("thumbnail", entry["file"]),
                    width=entry["width"],
                    height=entry["height"],
                    faces=tuple(FaceView(**face) for face in entry["faces"]),
                    is_default=bool(entry.get("default", False)),
                )
                for entry in portraits
            )
        }

    def _read(self, name: str) -> list[dict[str, Any]]:
        data = json.loads((self._assets_dir / name).read_text(encoding="utf-8"))
        if not isinstance(data, list):
            raise ValueError(f"assets/{name} must hold a list")
        return data

    @property
    def voices(self) -> tuple[BuiltinVoice, ...]:
        return tuple(self._voices.values())

    @property
    def avatars(self) -> tuple[BuiltinAvatar, ...]:
        return tuple(self._avatars.values())

    def voice(self, voice_id: str) -> BuiltinVoice | None:
        return self._voices.get(voice_id)

    def avatar(self, avatar_id: str) -> BuiltinAvatar | None:
        return self._avatars.get(avatar_id)

    def default_voice(self, language: str) -> BuiltinVoice:
        """The built-in voice for a language; English when there is none of it."""
        for wanted in (language, "en"):
            same = [voice for voice in self._voices.values() if voice.language == wanted]
            if same:
                return next((voice for voice in same if voice.is_default), same[0])
        raise ValueError("assets/voices/voices.json holds no English voice")


def stable_seed(job_id: str) -> int:
    """A seed for a job that gave none: the same for the same job, recorded with the result."""
    return int.from_bytes(hashlib.sha256(job_id.encode()).digest()[:4], "big") & 0x7FFFFFFF
