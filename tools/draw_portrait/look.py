"""Colours and styling of one character. Developer tool; values only."""

from __future__ import annotations

from dataclasses import dataclass

Stops = tuple[tuple[float, str], ...]
Stops2 = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Look:
    """Everything about a character that is not the shape of the skull."""

    skin: Stops = (
        (0.0, "#4a231b"), (0.16, "#7e4434"), (0.34, "#b87a60"), (0.52, "#d9a386"), (0.70, "#edc2a6"),
        (0.86, "#f7d7bf"), (1.05, "#fde8d6"), (1.25, "#fff4ea"),
    )  # fmt: skip
    lips: Stops = ((0.0, "#4d1a1c"), (0.3, "#93423f"), (0.55, "#bd6460"), (0.8, "#d58580"), (1.2, "#f0b0a8"))
    lip_strength: float = 0.86
    lip_seam: str = "#4f1a1b"
    blush: float = 0.55
    rim: str = "#ffd9bd"
    iris: Stops = ((0.0, "#1d0f0a"), (0.45, "#4a2a18"), (0.8, "#7c4d2b"), (1.0, "#2a160d"))
    brow: str = "#3a241b"
    hair_dark: str = "#100a0a"
    hair_mid: str = "#2f1f1a"
    hair_light: str = "#74523f"
    hair_shine: str = "#c09a80"
    lashes: float = 1.0
    eye_open: float = 1.0
    iris_radius: float = 16.4
    eye_shadow: str = "#d9a795"
    crease: Stops2 = ((0, 1.0), (0.15, 4.5), (0.5, 7.6), (0.85, 7.0), (1, 3.5))
    brow_spine: Stops2 = ((-38, -43), (-22, -46.5), (0, -51), (20, -53.5), (36, -50), (50, -42))
    brow_lift: float = 0.0
    brow_thickness: float = 11.0
    brow_hairs: int = 330
    brow_length: float = 1.0
    jacket: str = "#27344a"
    jacket_light: str = "#5d7290"
    blouse: str = "#e6dacb"
    blouse_dark: str = "#8d7b6c"
    jacket_dark: str = "#0f1520"
    wall: Stops = ((0.0, "#4f5a60"), (0.35, "#7d888b"), (0.65, "#a9afab"), (1.0, "#d3d2c8"))
