"""Every option of the official loop through the engine's one entry for it, `parity`.

The two published films, and for what no film is at hand the loop written straight down from its facts
(`straight_loop`), which is itself held to the two films first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from tests.infinitetalk import loop_rig
from tests.infinitetalk.straight_loop import Case, straight_loop
from tests.infinitetalk.tiny import TINY_LOOP, loop_golden, loop_model, loop_weights
from workers.infinitetalk.parity import (
    OfficialNetworks,
    OfficialRun,
    VideoFrames,
    config_of,
    official_film,
    official_networks,
)

# Tolerances of the study: the maxima sit where the colour match is steep, near black.
MEAN, MOST = 5e-5, 1.2e-3
BOXES = ((12, 8, 90, 60), (30, 85, 101, 150))


@cache
def networks() -> OfficialNetworks:
    return official_networks(loop_weights("dit"), loop_weights("vae"), loop_weights("clip"))


@cache
def model() -> Any:
    return loop_model()


def picture(index: int = 0) -> np.ndarray:
    """Frame of a reference video: the golden picture, wandering, and darker with every frame."""
    first = loop_golden()["frame/0"].numpy()
    return (np.roll(first, 2 * index, axis=1) * (1 - index / 60)).astype(np.uint8)


@dataclass(frozen=True)
class Asked:
    """One case in both vocabularies."""

    steps: int = 2
    speakers: int = 1
    video: bool = False
    heard: int = loop_rig.FRAMES
    max_frames: int | None = None
    mode: Any = "streaming"
    scales: tuple[float, float] = (5.0, 4.0)
    apg: bool = False
    colour: float = 1.0
    boxes: Any = None

    def speech(self) -> list[torch.Tensor]:
        generator = torch.Generator().manual_seed(loop_rig.AUDIO_SEED)
        return [torch.randn(self.heard, 12, 768, generator=generator) for _ in range(self.speakers)]

    def ours(self) -> torch.Tensor:
        return official_film(networks(), self.run())

    def run(self) -> OfficialRun:
        return OfficialRun(
            references=[picture(index) for index in range(20)] if self.video else [picture()],
            speech=self.speech(),
            text=loop_golden()["ctx"],
            null_text=loop_golden()["ctx_null"],
            sizes=loop_rig.SIZES,
            frame_num=loop_rig.WINDOW,
            motion_frame=loop_rig.MOTION,
            mode=self.mode,
            max_frames=self.max_frames,
            sampling_steps=self.steps,
            text_guide_scale=self.scales[0],
            audio_guide_scale=self.scales[1],
            apg=self.apg,
            colour_strength=self.colour,
            boxes=self.boxes,
        )

    def straight(self) -> torch.Tensor:
        clip = self.mode == "clip"
        return straight_loop(
            model(),
            Case(
                # The video ends with its twentieth frame, which then stays.
                frames=lambda index: picture(min(index, 19) if self.video else 0),
                speech=self.speech(),
                text=loop_golden()["ctx"],
                null_text=loop_golden()["ctx_null"],
                steps=self.steps,
                max_frames=loop_rig.WINDOW if clip else self.max_frames or 1000,
                text_scale=self.scales[0],
                audio_scale=self.scales[1],
                apg=self.apg,
                colour=self.colour,
                boxes=self.boxes,
            ),
        )


def difference(found: torch.Tensor, expected: torch.Tensor) -> tuple[float, float]:
    assert found.shape == expected.shape
    error = (found - expected).abs()
    return float(error.mean()), float(error.max())


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("I2V streaming, cfg 5/4", Asked(steps=4)),
        ("2 speakers default masks", Asked(steps=3, speakers=2)),
    ],
)
def test_the_published_films(name: str, asked: Asked) -> None:
    expected = loop_golden()[f"out/{name}"]
    for film in (asked.ours(), asked.straight()):
        mean, most = difference(film, expected)
        assert mean <= MEAN
        assert most <= MOST


OPTIONS = {
    "clip": Asked(mode="clip"),
    "clip of two, boxes": Asked(mode="clip", speakers=2, boxes=BOXES),
    "streaming 1/2": Asked(scales=(1.0, 2.0)),
    "streaming 5/1": Asked(scales=(5.0, 1.0), max_frames=20, steps=1),
    "APG 5/4": Asked(apg=True),
    "APG 1/2": Asked(apg=True, scales=(1.0, 2.0)),
    "video": Asked(video=True, colour=0.0),
    "video, colours": Asked(video=True, colour=0.5, steps=1),
    "two, boxes": Asked(speakers=2, boxes=BOXES),
    "two, boxes, 1/2": Asked(speakers=2, boxes=BOXES, scales=(1.0, 2.0), steps=1),
    "early cut in the second window": Asked(max_frames=20, steps=1),
    "early cut at a window's end": Asked(max_frames=21, steps=1),
    "early cut in the third window": Asked(max_frames=24, steps=1),
    "speech ends in the second window": Asked(heard=18, steps=1),
    "speech ends in the third window": Asked(heard=24, steps=1),
    "speech ends long before the window": Asked(heard=22, steps=1),
    "asked for more than is spoken": Asked(max_frames=100, heard=26, steps=1),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_is_the_straight_loop(name: str, record_property: Any) -> None:
    asked = OPTIONS[name]
    mean, most = difference(asked.ours(), asked.straight())
    record_property("mean", mean)
    record_property("max", most)
    print(f"\n{name}: mean {mean:.1e}, max {most:.1e}")
    assert mean <= MEAN
    assert most <= MOST


def test_every_option_changes_the_film() -> None:
    """A case that two options share would prove nothing about either."""
    films = [
        replace(asked, steps=1).ours()
        for asked in (
            Asked(mode="clip"),
            Asked(mode="clip", scales=(1.0, 2.0)),
            Asked(mode="clip", colour=0.0),
            Asked(mode="clip", speakers=2),
            Asked(mode="clip", speakers=2, boxes=BOXES),
            Asked(mode="clip", speakers=2, boxes=[(c, r, d, q) for r, c, q, d in BOXES]),
        )
    ]
    assert all((one - other).abs().mean() > 1e-3 for i, one in enumerate(films) for other in films[:i])


def test_dimensions_are_read_from_the_weights() -> None:
    assert config_of(loop_weights("dit")) == TINY_LOOP


def test_a_video_may_be_given_by_the_frames_that_are_used() -> None:
    asked = Asked(video=True, steps=1)
    some = replace(asked.run(), references={index: picture(min(index, 19)) for index in (0, 8, 16)})
    assert torch.equal(official_film(networks(), some), asked.ours())
    with pytest.raises(ValueError, match="frame 8"):
        VideoFrames({0: picture(), 16: picture()}).frame(8)
    assert VideoFrames([picture()]).frame(500) is not None


def test_speech_no_longer_than_a_window_is_refused_as_officially() -> None:
    with pytest.raises(ValueError, match="longer than a window"):
        Asked(heard=13).ours()
