"""The bundled portraits: what the list promises is there, in the form that the draft engine works best with."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ASSETS = Path(__file__).parents[2] / "assets"
FOLDER = ASSETS / "portraits"
LISTED: list[dict[str, Any]] = json.loads((FOLDER / "portraits.json").read_text(encoding="utf-8"))
each_portrait = pytest.mark.parametrize("entry", LISTED, ids=[e["avatar"] for e in LISTED])

SIDE_PX = 1024
MAX_BYTES = 1_500_000  # a clone should stay quick
MIN_BYTES = 300_000  # a flat or blank picture of this size would compress to far less
PNG_TRUECOLOUR = 2  # colour type in the PNG header: RGB without alpha or palette


def test_exactly_one_portrait_is_the_default() -> None:
    assert [e["default"] for e in LISTED].count(True) == 1


def test_every_portrait_has_a_name_in_both_languages_and_its_own_id() -> None:
    assert all(e["name_zh"].strip() and e["name_en"].strip() for e in LISTED)
    assert len({e["avatar"] for e in LISTED}) == len(LISTED)


def test_the_licence_lies_beside_the_pictures() -> None:
    assert "MIT License" in (FOLDER / "LICENSE").read_text(encoding="utf-8")


@each_portrait
def test_the_picture_is_a_square_rgb_png_of_sane_size(entry: dict[str, Any]) -> None:
    data = (FOLDER / entry["file"]).read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    width, height, depth, colour = struct.unpack(">IIBB", data[16:26])
    assert (width, height, depth, colour) == (SIDE_PX, SIDE_PX, 8, PNG_TRUECOLOUR)
    assert MIN_BYTES < len(data) < MAX_BYTES


@each_portrait
def test_the_thumbnail_is_a_jpeg(entry: dict[str, Any]) -> None:
    thumbnail = FOLDER / entry["thumbnail"]
    assert thumbnail.read_bytes()[:3] == b"\xff\xd8\xff"


@pytest.mark.slow
@each_portrait
def test_the_draft_engine_sees_one_frontal_face_with_closed_lips_and_open_eyes(entry: dict[str, Any]) -> None:
    faces_module = pytest.importorskip("workers.draft.faces")
    from workers.draft.image_input import load_picture
    from workers.draft.sessions import load_models

    picture = load_picture(FOLDER / entry["file"])
    found = faces_module.find_faces(load_models(ASSETS, 1), picture, lambda: None)
    assert len(found) == 1
    face = found[0]
    assert face.score > 0.8
    assert face.presence > 0.95
    assert abs(face.yaw_deg) < 3
    # MediaPipe face mesh indices: inner lips 13/14, mouth corners 61/291, lids 159/145 and 386/374, eye corners

    def apart(a: int, b: int) -> float:
        return float(np.linalg.norm(face.points[a, :2] - face.points[b, :2]))

    assert apart(13, 14) / apart(61, 291) < 0.05
    assert 0.25 < apart(159, 145) / apart(33, 133) < 0.55
    assert 0.25 < apart(386, 374) / apart(263, 362) < 0.55
