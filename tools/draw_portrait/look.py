"""Colours and styling of one character. Developer tool; values only."""

from __future__ import annotations

from dataclasses import dataclass

Stops = tuple[tuple[float, str], ...]
Stops2 = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Look:
    """Everything about a character that is not the shape of the skull."""

    skin: Stops = (
        (0.0, "#4a231b"), (0.16, "#7e4434"), (0.34, "#b57c65"), (0.52, "#d6a48a"), (0.70, "#ebc3aa"),
        (0.86, "#f6d8c3"), (1.05, "#fde8d6"), (1.25, "#fff4ea"),
    )  # fmt: skip
    lips: Stops = ((0.0, "#4d1a1c"), (0.3, "#8e3a37"), (0.55, "#b4544f"), (0.8, "#cf7670"), (1.2, "#eeaaa2"))
    lip_strength: float = 0.86
    lip_seam: str = "#4f1a1b"
    stubble: float = 0.0
    blush: float = 0.34
    rim: str = "#ffd9bd"
    iris: Stops = ((0.0, "#180c08"), (0.45, "#3f2314"), (0.8, "#6b4124"), (1.0, "#8a5a34"))
    brow: str = "#2a1a14"
    hair_dark: str = "#100a0a"
    hair_mid: str = "#38251e"
    hair_light: str = "#83604b"
    hair_shine: str = "#cda98d"
    lashes: float = 1.0
    eye_open: float = 1.0
    iris_radius: float = 16.8
    eye_shadow: str = "#d9a795"
    crease: Stops2 = ((0, 1.0), (0.15, 4.5), (0.5, 7.6), (0.85, 7.0), (1, 3.5))
    brow_spine: Stops2 = ((-38, -43), (-22, -46.5), (0, -51), (20, -53.5), (36, -50), (50, -42))
    brow_lift: float = 0.0
    brow_thickness: float = 10.2
    brow_hairs: int = 420
    brow_length: float = 1.0
    jacket: str = "#222c3e"
    jacket_light: str = "#58698a"
    earring: bool = True
    ears: tuple[int, ...] = (1,)
    necklace: str = "#c9964f"
    blouse: str = "#e6dacb"
    blouse_dark: str = "#8d7b6c"
    jacket_dark: str = "#0f1520"
    wall: Stops = ((0.0, "#3d4c57"), (0.35, "#6f808a"), (0.65, "#a7b0b0"), (1.0, "#e0d9cc"))
