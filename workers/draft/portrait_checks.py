"""Warnings about a portrait that can be animated, but not at its best. Runs in the draft worker."""

from __future__ import annotations

from typing import TypedDict

import cv2
import numpy as np

from workers.draft import topology as topo
from workers.draft.arrays import F32, Image, f32, resize_image
from workers.draft.faces import Face

# Beyond this turn of the head the far half of the mouth is guessed.
STRONG_PROFILE_DEG = 38.0
# Below this width (pixels) lips are a handful of pixels and the video looks soft.
SMALL_FACE_PX = 80.0
# Median luma of the face (0..255) below which eyes and lips drown.
DARK_LUMA = 45.0
# The face is compared at this width, so that limits mean the same for every picture.
_NORMAL_PX = 192
# Root mean square of the Laplacian there, over the face's own contrast: sharp photos have 0.12 to 0.8,
# the same photos out of focus below 0.07.
BLURRED_DETAIL = 0.08
# Share of perfectly smooth 3x3 neighbourhoods. Skin in a photo has grain; a drawing has flat colour.
DRAWN_FLATNESS = 0.5
_FLAT_STD = 0.55


class PortraitWarning(TypedDict):
    """One warning as it goes over the wire."""

    code: str
    message: str


def check_portrait(
    picture: Image, faces: list[Face], chosen: Face, *, rotated: bool = False
) -> list[PortraitWarning]:
    """Warnings for the chosen face of an RGB picture, in a fixed order. `rotated`: it was turned upright."""
    warnings: list[PortraitWarning] = []

    def warn(code: str, message: str) -> None:
        warnings.append({"code": code, "message": message})

    if rotated:
        warn("rotated", "The picture was not upright. It was turned so that the face stands upright.")
    if len(faces) > 1:
        warn(
            "several_faces",
            f"The picture shows {len(faces)} faces. The largest speaks unless you choose one.",
        )
    if abs(chosen.yaw_deg) > STRONG_PROFILE_DEG:
        warn("strong_profile", "The face is turned far to the side. A picture from the front moves better.")
    if chosen.size_px < SMALL_FACE_PX:
        warn(
            "small_face",
            f"The face is only {chosen.size_px:.0f} pixels wide and will look soft. Use a larger picture.",
        )
    luma = _face_luma(picture, chosen)
    middle = float(np.median(luma))
    if middle < DARK_LUMA:
        warn("dark", "The face is very dark. A brighter picture shows the lips better.")
    contrast = max(float(luma.std()), 1.0)
    detail = float(np.sqrt((cv2.Laplacian(luma, cv2.CV_32F) ** 2).mean())) / contrast
    if detail < BLURRED_DETAIL:
        warn("blurred", "The face is out of focus. A sharper picture gives a sharper video.")
    elif flatness(luma) > DRAWN_FLATNESS:
        warn("drawn", "This looks like a drawing. It will be animated, but photos move more naturally.")
    return warnings


def check_pair(
    picture: Image, faces: list[Face], pair: list[Face], *, rotated: bool = False
) -> list[PortraitWarning]:
    """Warnings for two people who speak, each kind once."""
    found: dict[str, PortraitWarning] = {}
    for face in pair:
        # Two faces are what was asked for; the check of one would call them several.
        for warning in check_portrait(picture, [face], face, rotated=rotated):
            found.setdefault(warning["code"], warning)
    if len(faces) > len(pair):
        message = f"The picture shows {len(faces)} faces. Mark the two that speak if these are not the ones."
        found["several_faces"] = {"code": "several_faces", "message": message}
    return list(found.values())


def flatness(luma: F32) -> float:
    """Share of 3x3 neighbourhoods (of a face at `_NORMAL_PX`) whose brightness does not vary at all."""
    mean = cv2.blur(luma, (3, 3))
    square = cv2.blur(luma * luma, (3, 3))
    deviation = np.sqrt(np.maximum(square - mean * mean, 0))
    return float((deviation < _FLAT_STD).mean())


def _face_luma(picture: Image, face: Face) -> F32:
    """Luma (h, w) of the face's own box at a normal width, forehead to chin."""
    points = face.points[: topo.SKIN_POINTS, :2]
    low = np.floor(points.min(axis=0)).astype(int)
    high = np.ceil(points.max(axis=0)).astype(int)
    x0, y0 = max(0, low[0]), max(0, low[1])
    x1, y1 = min(picture.shape[1], high[0] + 1), min(picture.shape[0], high[1] + 1)
    crop = np.ascontiguousarray(picture[y0:y1, x0:x1])
    scale = _NORMAL_PX / max(1, crop.shape[1])
    if scale < 1:
        crop = resize_image(crop, _NORMAL_PX, max(8, round(crop.shape[0] * scale)))
    return f32(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.float32))
