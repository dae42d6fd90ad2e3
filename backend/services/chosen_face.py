"""Whose face speaks: where it is in the portrait, so that no engine cuts it off. Runs in the service process.

Flow: what was found in the portrait when it was looked at + `face_index` of the request -> one box, or none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backend.models.codes import ErrorCode
from backend.models.errors import InputError

_SIDES = ("x", "y", "w", "h")


@dataclass(frozen=True)
class PortraitFaces:
    """Corner and size of each face, as fractions of the portrait; `chosen` speaks unless a request says otherwise."""

    boxes: tuple[Mapping[str, float], ...] = ()
    chosen: int = 0

    @classmethod
    def of(cls, profile: Mapping[str, Any]) -> PortraitFaces:
        """Of what the look at a portrait told; of an empty one nothing is known."""
        faces = profile.get("faces") or ()
        return cls(
            tuple({side: float(face[side]) for side in _SIDES} for face in faces), profile.get("chosen", 0)
        )

    def facts(self) -> dict[str, Any]:
        """What `of` understands."""
        return {"faces": [dict(box) for box in self.boxes], "chosen": self.chosen}

    def box(self, face_index: int | None) -> dict[str, float] | None:
        """The face that speaks, None when nothing is known. Raises InputError for a face that there is not."""
        if not self.boxes:
            return None
        index = self.chosen if face_index is None else face_index
        if index >= len(self.boxes):
            raise InputError(
                ErrorCode.VALIDATION_FAILED,
                f"Face number {index} was asked for, but the picture shows {len(self.boxes)}.",
                hint=f"Choose 0 to {len(self.boxes) - 1}, or leave face_index out.",
            )
        return dict(self.boxes[index])
