"""Boxes of two people become masks in latent pixels: tables, written out."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from tests.infinitetalk.tiny import loop_golden
from workers.infinitetalk.config import BUCKETS
from workers.infinitetalk.masks import (
    Box,
    beside,
    box_of,
    default_boxes,
    people,
    picture_masks,
    speaker_masks,
    to_latent,
)


def rows(mask: torch.Tensor) -> list[str]:
    """A mask as it looks."""
    return ["".join("#" if value else "." for value in row) for row in mask.tolist()]


def test_a_box_has_rows_before_columns() -> None:
    # Wide and flat, in the upper right: whoever swaps the axes gets something tall, or nothing.
    box = box_of({"x": 0.5, "y": 0.25, "w": 0.5, "h": 0.25}, (80, 120))
    assert box == Box(row_min=20, col_min=60, row_max=40, col_max=120)
    assert box_of({"x": -0.1, "y": 0.9, "w": 0.3, "h": 0.5}, (80, 120)) == Box(72, 0, 80, 24)
    # 0.29 * 100 is 28.999...: a pixel is the nearest one.
    assert box_of({"x": 0.29, "y": 0.29, "w": 0.29, "h": 0.29}, (100, 100)) == Box(29, 29, 58, 58)


def test_boxes_as_masks() -> None:
    masks = speaker_masks(
        (64, 96),
        (64, 96),
        [{"x": 0.5, "y": 0.25, "w": 0.5, "h": 0.5}, {"x": 0.0, "y": 0.5, "w": 1 / 3, "h": 0.5}],
    )
    assert rows(masks[0]) == [
        "............",
        "............",
        "......######",
        "......######",
        "......######",
        "......######",
        "............",
        "............",
    ]
    assert rows(masks[1]) == ["............"] * 4 + ["####........"] * 4
    assert rows(masks[2]) == [
        "############",
        "############",
        "######......",
        "######......",
        "....##......",
        "....##......",
        "....########",
        "....########",
    ]
    assert masks.dtype == torch.float32


def test_halves_without_boxes() -> None:
    assert default_boxes((101, 150)) == (Box(5, 3, 95, 71), Box(5, 78, 95, 146))
    masks = speaker_masks((64, 96), (64, 96))
    assert rows(masks[0]) == ["............", *[".#####......"] * 7]
    assert rows(masks[1]) == ["............", *[".......#####"] * 7]
    assert rows(masks[2]) == ["############", *["#.....#....."] * 7]
    assert torch.equal(speaker_masks((64, 96), (64, 96), [None, None]), masks)


def test_the_published_path_step_by_step() -> None:
    """Masks of the whole picture, covered, cropped and reduced by nearest pixels."""
    height, width = loop_golden()["frame/0"].shape[:2]
    full = torch.zeros(3, height, width)
    full[0, 5:95, 3:71] = 1
    full[1, 5:95, 78:146] = 1
    full[2] = 1 - full[0] - full[1]
    scaled = functional.interpolate(full[None], size=(65, 96), mode="nearest")[:, :, :64]
    expected = functional.interpolate(scaled, size=(8, 12), mode="nearest")[0]
    assert torch.equal(speaker_masks((height, width), (64, 96)), expected)


def test_masks_follow_the_crop() -> None:
    # A tall picture in a wide target: of 96 rows the middle 64 remain, and who stands above is not seen.
    masks = picture_masks((96, 96), [Box(0, 0, 16, 96), Box(16, 48, 96, 96)])
    latent = to_latent(masks, (64, 96))
    assert not latent[0].any()
    assert rows(latent[1]) == ["......######"] * 8
    assert rows(latent[2]) == ["######......"] * 8


def test_one_marked_person_leaves_the_other_the_free_side() -> None:
    assert beside(Box(10, 60, 90, 80), (100, 100)) == Box(5, 0, 95, 60)
    assert beside(Box(10, 20, 90, 40), (100, 100)) == Box(5, 40, 95, 100)
    right = {"x": 0.6, "y": 0.1, "w": 0.3, "h": 0.8}
    masks = speaker_masks((64, 96), (64, 96), [None, right])
    swapped = speaker_masks((64, 96), (64, 96), [right, None])
    assert torch.equal(masks[0], swapped[1])
    assert torch.equal(masks[1], swapped[0])
    assert not (masks[0] * masks[1]).any()
    assert masks[0].any()


def test_where_people_overlap_nobody_is_background() -> None:
    both = {"x": 0.25, "y": 0.0, "w": 0.5, "h": 1.0}
    masks = speaker_masks((64, 96), (64, 96), [both, both])
    assert torch.equal(masks[0], masks[1])
    assert torch.equal(masks[2], 1 - masks[0])


@pytest.mark.parametrize("size", [480, 720])
@pytest.mark.parametrize("picture", [(720, 1280), (1280, 720), (333, 2000)])
def test_everybody_is_seen_by_some_token(size: int, picture: tuple[int, int]) -> None:
    """The reference map divides by the number of a mask's tokens: none would be not a number."""
    speck = {"x": 0.999, "y": 0.0, "w": 0.0, "h": 0.0}
    dot = {"x": 0.31, "y": 0.47, "w": 0.001, "h": 0.002}
    for target in BUCKETS[size].values():
        masks = speaker_masks(picture, target, [speck, dot])
        # The transformer looks at every second latent pixel each way.
        assert masks[:, ::2, ::2].flatten(1).any(1).all()


def test_a_marked_face_stands_for_the_person_around_it() -> None:
    """The model was taught with boxes of people: a face alone would leave hair, neck and shoulders to nobody."""
    left, right = {"x": 0.2, "y": 0.2, "w": 0.1, "h": 0.2}, {"x": 0.7, "y": 0.25, "w": 0.1, "h": 0.2}
    places = people([left, right], (640, 640))
    assert places[0] == pytest.approx({"x": 0.14, "y": 0.1, "w": 0.22, "h": 0.5})
    masks = speaker_masks((640, 640), (640, 640), places)
    narrow = speaker_masks((640, 640), (640, 640), [left, right])
    for person in range(2):
        assert (masks[person] >= narrow[person]).all()
        assert masks[person].sum() > 3 * narrow[person].sum()
    assert not (masks[0] * masks[1]).any()


def test_faces_close_together_make_places_that_do_not_overlap() -> None:
    left, right = {"x": 0.35, "y": 0.2, "w": 0.15, "h": 0.3}, {"x": 0.52, "y": 0.2, "w": 0.15, "h": 0.3}
    masks = speaker_masks((480, 832), (480, 832), people([left, right], (480, 832)))
    assert not (masks[0] * masks[1]).any()
    assert all(masks[person].any() for person in range(3))
    only = people([left, None], (480, 832))
    assert only[1] is not None
    assert only[1]["x"] > left["x"] + left["w"]
    assert people([None, None], (480, 832)) == [None, None]
