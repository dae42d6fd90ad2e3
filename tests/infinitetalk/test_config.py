"""Presets, picture sizes and token counts."""

from __future__ import annotations

import pytest

from workers.infinitetalk.config import BUCKETS, PRESETS, bucket, latent_frames, token_count


def test_presets_cost_what_they_say():
    assert {name: (p.steps, p.passes) for name, p in PRESETS.items()} == {
        "quality": (40, 3),
        "balanced": (8, 2),
        "fast": (4, 2),
        "turbo": (4, 1),
    }
    assert [PRESETS["quality"].shift(size) for size in (480, 720)] == [7.0, 11.0]
    assert {PRESETS[name].shift(480) for name in ("balanced", "fast", "turbo")} == {2.0}


def test_buckets_are_the_published_ones():
    assert [len(BUCKETS[size]) for size in (480, 720)] == [15, 21]
    for size, side in ((480, 627), (720, 960)):
        for ratio, (height, width) in BUCKETS[size].items():
            assert height % 64 == width % 64 == 0
            assert height / width == pytest.approx(ratio, abs=0.15)
            assert (height * width) ** 0.5 == pytest.approx(side, rel=0.05)


@pytest.mark.parametrize(
    ("height", "width", "size", "expected"),
    [
        (1000, 1000, 480, (640, 640)),
        (1080, 1920, 480, (448, 896)),
        (1920, 1080, 480, (832, 448)),
        (1080, 1920, 720, (704, 1280)),
        (101, 150, 480, (512, 768)),
        (10, 1000, 720, (448, 2048)),
    ],
)
def test_a_picture_gets_the_nearest_bucket(height, width, size, expected):
    assert bucket(height, width, size) == expected


def test_tokens_of_a_window():
    assert latent_frames(81) == 21
    assert token_count(640, 640) == 33_600
    assert token_count(960, 960) == 75_600
