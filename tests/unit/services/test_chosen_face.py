"""Which face of a portrait speaks."""

from __future__ import annotations

import pytest

from backend.models.codes import ErrorCode
from backend.models.errors import InputError
from backend.services.chosen_face import PortraitFaces

LEFT = {"x": 0.1, "y": 0.2, "w": 0.2, "h": 0.4}
RIGHT = {"x": 0.6, "y": 0.2, "w": 0.25, "h": 0.5}
PROFILE = {"faces": [{**RIGHT, "score": 0.9}, {**LEFT, "score": 0.8}], "chosen": 0, "width": 9}


def test_the_one_who_was_named_else_the_chosen_one() -> None:
    faces = PortraitFaces.of(PROFILE)
    assert [faces.box(index) for index in (None, 0, 1)] == [RIGHT, RIGHT, LEFT]
    assert PortraitFaces.of({**PROFILE, "chosen": 1}).box(None) == LEFT
    assert PortraitFaces.of(faces.facts()) == faces


def test_a_face_that_there_is_not_is_refused_with_what_there_is() -> None:
    with pytest.raises(InputError) as caught:
        PortraitFaces.of(PROFILE).box(2)
    assert caught.value.code is ErrorCode.VALIDATION_FAILED
    assert "shows 2" in str(caught.value)
    assert "0 to 1" in str(caught.value.hint)


def test_of_a_portrait_nobody_looked_at_nothing_is_known() -> None:
    assert PortraitFaces.of({}).box(None) is None
    assert PortraitFaces.of({}).box(5) is None, "the engine looks by itself"
