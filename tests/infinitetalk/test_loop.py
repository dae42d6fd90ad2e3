"""The window loop: the official one's films, windows and their seams, checkpoints, cancel, progress.

The two golden films take the tiny transformer, VAE and CLIP; what only concerns the loop has a codec that
is a matrix and a network that is a formula of everything it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from safetensors.torch import load, save
from torch.nn import functional

from tests.infinitetalk import loop_rig
from tests.infinitetalk.tiny import loop_golden, loop_model, named_input
from workers.handler import TaskCancelled
from workers.infinitetalk.cache import TeaCache
from workers.infinitetalk.guidance import Guidance
from workers.infinitetalk.sampler import Models, Progress, Request, generate
from workers.infinitetalk.windows import Checkpoint, Window, WindowPlan

# Four transformer tokens a latent frame.
SIDE = 32


def _film(windows: Sequence[Window]) -> torch.Tensor:
    return torch.cat([window.pixels for window in windows], dim=1)


def _all(models: Models, request: Request, resume: Checkpoint | None = None) -> list[Window]:
    return list(
        generate(models, request, on_step=lambda _progress: None, cancelled=lambda: False, resume=resume)
    )


# --- the official films ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "speakers", "steps"), [("I2V streaming, cfg 5/4", 1, 4), ("2 speakers default masks", 2, 3)]
)
def test_the_film_is_the_official_one(name: str, speakers: int, steps: int) -> None:
    windows = _all(loop_rig.models(), loop_rig.request(speakers, steps=steps))
    error = (_film(windows) - loop_golden()[f"out/{name}"]).abs()
    assert len(windows) == 3
    assert error.mean() <= 5e-5
    # The match is steep near black; the study's own bound.
    assert error.max() <= 1.2e-3


# --- a cheaper studio ----------------------------------------------------------------------------------


def _matrix() -> torch.Tensor:
    return torch.linalg.qr(named_input("codec", 16, 3)).Q


def _encode(pixels: torch.Tensor) -> torch.Tensor:
    """(1, 3, F, H, W) -> (1, 16, T, h, w): the last frame of each four, in blocks of 8 x 8."""
    blocks = functional.avg_pool3d(pixels[:, :, ::4], (1, 8, 8))
    return torch.einsum("ij,bjthw->bithw", _matrix(), blocks)


def _decode(latents: torch.Tensor) -> torch.Tensor:
    colours = torch.einsum("ij,bithw->bjthw", _matrix(), latents).tanh()
    frames = colours.repeat_interleave(4, 2)[:, :, 3:]
    return frames.repeat_interleave(8, 3).repeat_interleave(8, 4)


def _formula(**inputs: Any) -> torch.Tensor:
    """A velocity that depends on everything the transformer is given."""
    seen, timestep = inputs["hidden_states"], inputs["timestep"] / 1000
    told = inputs["encoder_hidden_states"].mean() + inputs["encoder_hidden_states_image"].mean()
    heard = 20 * inputs["audio"].mean((0, 2, 3, 4))[None, None, ::4, None, None]
    return torch.tanh(seen[:, :16] * timestep - seen[:, 20:] + 50 * told + heard)


@dataclass
class Studio:
    """Models that note what they are asked for."""

    transformer: Callable[..., torch.Tensor] = _formula
    calls: list[dict[str, Any]] = field(default_factory=list)

    def models(self, **changes: Any) -> Models:
        return Models(
            **{"transformer": self._transform, "encode_video": _encode, "decode_video": _decode} | changes
        )

    def _transform(self, **inputs: Any) -> torch.Tensor:
        self.calls.append(inputs)
        return self.transformer(**inputs)


def _picture(frame: int = 0) -> torch.Tensor:
    return torch.tanh(named_input(f"picture {frame}", 3, SIDE, SIDE))


def _condition(frame: int) -> loop_rig.Condition:
    latents = _encode(functional.pad(_picture(frame)[None, :, None], (0, 0, 0, 0, 0, loop_rig.WINDOW - 1)))
    mask = torch.zeros(1, 4, *latents.shape[2:])
    mask[:, :, 0] = 1
    return loop_rig.Condition(torch.cat([mask, latents], 1), named_input(f"clip {frame}", 1, 257, 1280))


def _request(**changes: Any) -> Request:
    fields = {
        "condition": _condition,
        "reference": _picture,
        "guidance": Guidance(1.0, 1.0),
        "steps": 2,
        "official_noise": False,
    }
    return loop_rig.request(**fields | changes)


@pytest.fixture
def studio() -> Studio:
    return Studio()


@pytest.fixture
def real_studio() -> Studio:
    return Studio(loop_model())


# --- windows -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frames", "count"), [(1, 1), (8, 1), (81, 1), (82, 2), (153, 2), (154, 3), (90_000, 1250)]
)
def test_windows_cover_a_film_of_any_length_without_gap_or_overlap(frames: int, count: int) -> None:
    plan = WindowPlan(frames, 81, 9)
    assert plan.count == count
    end = 0
    for index in range(plan.count):
        new = plan.new(index)
        assert plan.first(index) + new.start == end
        assert 0 <= new.start < new.stop <= 81
        end = plan.first(index) + new.stop
    assert end == frames


@pytest.mark.parametrize(("frames", "window", "motion"), [(0, 81, 9), (10, 80, 9), (10, 81, 8), (10, 9, 9)])
def test_windows_that_cannot_be_coded_are_refused(frames: int, window: int, motion: int) -> None:
    with pytest.raises(ValueError, match="frame"):
        WindowPlan(frames, window, motion)


@pytest.mark.parametrize("frames", [5, 13, 20, 29])
def test_a_film_is_as_long_as_asked(studio: Studio, frames: int) -> None:
    windows = _all(studio.models(), _request(frames=frames, steps=1))
    assert _film(windows).shape == (3, frames, SIDE, SIDE)
    assert [window.windows for window in windows] == [len(windows)] * len(windows)
    assert windows[-1].checkpoint is None
    assert all(window.checkpoint is not None for window in windows[:-1])


def test_a_shorter_film_is_the_beginning_of_a_longer_one(studio: Studio) -> None:
    short, long = (_film(_all(studio.models(), _request(frames=frames))) for frames in (17, 29))
    assert torch.equal(short, long[:, :17])


def test_each_window_is_shown_its_own_frame_and_speech(studio: Studio) -> None:
    asked: list[tuple[str, int, int]] = []
    plain = _request()

    def speech(first: int, frames: int) -> torch.Tensor:
        asked.append(("speech", first, frames))
        return plain.speech(first, frames)

    def condition(frame: int) -> loop_rig.Condition:
        asked.append(("condition", frame, 0))
        return _condition(frame)

    _all(studio.models(), _request(speech=speech, condition=condition, steps=1))
    assert asked == [
        ("condition", 0, 0),
        ("speech", 0, 13),
        ("condition", 8, 0),
        ("speech", 8, 13),
        ("condition", 16, 0),
        ("speech", 16, 13),
    ]


def test_given_latents_are_clean_before_and_after_every_step(studio: Studio) -> None:
    after: list[torch.Tensor] = []
    windows = list(
        generate(
            studio.models(),
            _request(),
            on_step=lambda progress: after.append(progress.latents.clone()),
            cancelled=lambda: False,
        )
    )
    before = [call["hidden_states"][:, :16] for call in studio.calls]
    assert len(before) == len(after) == 6
    film = _film(windows)
    for index in range(3):
        if index == 0:
            given = _encode(_picture()[None, :, None])
        else:
            # Frames as they were given away: with their colours matched.
            given = _encode(film[None, :, index * 8 : index * 8 + 5])
        for step in (2 * index, 2 * index + 1):
            assert torch.equal(before[step][:, :, : given.shape[2]], given)
            assert torch.equal(after[step][:, :, : given.shape[2]], given)


def test_passes_left_out_make_the_same_film(real_studio: Studio) -> None:
    """Scales that differ from 4/4 by nothing that fp32 shows, so that no pass is left out, and 4/4 itself."""
    short = _film(_all(real_studio.models(), _request(guidance=Guidance(4.0, 4.0), frames=13)))
    assert len(real_studio.calls) == 4
    full = _film(_all(real_studio.models(), _request(guidance=Guidance(4.0 + 1e-7, 4.0), frames=13)))
    assert len(real_studio.calls) == 4 + 6
    assert (full - short).abs().max() <= 1e-4


@pytest.mark.parametrize(
    ("text", "audio", "shown"),
    [
        (5.0, 4.0, [(True, 2), (False, 2), (False, 1)]),
        (1.0, 2.0, [(True, 2), (True, 1)]),
        (1.0, 1.0, [(True, 2)]),
    ],
)
def test_what_the_passes_of_two_speakers_are_shown(
    studio: Studio, text: float, audio: float, shown: list[tuple[bool, int]]
) -> None:
    masks = torch.zeros(3, 4, 4)
    masks[0, :, :2], masks[1, :, 2:] = 1, 1
    request = loop_rig.request(
        2,
        condition=_condition,
        reference=_picture,
        masks=masks,
        guidance=Guidance(text, audio),
        frames=13,
        steps=1,
    )
    _all(studio.models(), request)
    found = []
    for call in studio.calls:
        speakers = call["audio"].shape[0]
        found.append((torch.equal(call["encoder_hidden_states"], request.text), speakers))
        # Silence is one speaker who says nothing and needs no place.
        assert (call["ref_masks"] is None) == (speakers == 1)
        assert (call["audio"].abs().max() == 0) == (speakers == 1)
    assert found == shown


def test_colours_are_matched_to_the_first_reference_of_a_video(studio: Studio) -> None:
    kept = _film(_all(studio.models(), _request(colour_strength=0.0, steps=1)))
    matched = _film(_all(studio.models(), _request(steps=1)))
    goal = _picture().mean((1, 2))
    assert (matched[:, -1].mean((1, 2)) - goal).abs().max() < (kept[:, -1].mean((1, 2)) - goal).abs().max()


def test_a_step_left_out_costs_no_pass(studio: Studio) -> None:
    _all(studio.models(), _request(steps=4, skip_last_step=True, frames=13))
    assert [round(float(call["timestep"])) for call in studio.calls] == [1000, 933, 778]


def test_frames_for_a_file(studio: Studio) -> None:
    window = _all(studio.models(), _request(frames=5, steps=1))[0]
    frames = window.to_uint8()
    assert (frames.shape, frames.dtype) == ((5, SIDE, SIDE, 3), torch.uint8)
    assert (frames.float() / 127.5 - 1 - window.pixels.permute(1, 2, 3, 0)).abs().max() <= 0.5 / 127.5 + 1e-6


# --- random numbers and checkpoints --------------------------------------------------------------------


@pytest.mark.parametrize("official", [False, True])
@pytest.mark.parametrize("start", [1, 2])
def test_a_film_resumed_at_a_window_is_the_same_to_the_bit(
    studio: Studio, official: bool, start: int
) -> None:
    request = _request(official_noise=official, guidance=Guidance(5.0, 4.0, apg=True))
    whole = _all(studio.models(), request)
    checkpoint = whole[start - 1].checkpoint
    assert checkpoint is not None
    reread = Checkpoint.from_tensors(load(save(checkpoint.to_tensors())))
    rest = _all(studio.models(), request, reread)
    assert [window.index for window in rest] == list(range(start, 3))
    assert torch.equal(_film(rest), _film(whole[start:]))
    assert [window.first_frame for window in rest] == [window.first_frame for window in whole[start:]]


def test_resuming_with_the_real_codec_is_the_same_to_the_bit() -> None:
    request = loop_rig.request(steps=1, guidance=Guidance(1.0, 1.0), frames=14)
    first, second = _all(loop_rig.models(), request)
    assert first.checkpoint is not None
    (again,) = _all(loop_rig.models(), request, first.checkpoint)
    assert torch.equal(again.pixels, second.pixels)


def test_a_checkpoint_does_not_grow_and_does_not_hold_the_window(studio: Studio) -> None:
    for window in _all(studio.models(), _request(steps=1))[:-1]:
        assert window.checkpoint is not None
        assert window.checkpoint.motion.shape == (3, 5, SIDE, SIDE)
        storage = window.checkpoint.motion.untyped_storage()
        assert storage.nbytes() == window.checkpoint.motion.numel() * 4
        assert storage.data_ptr() != window.pixels.untyped_storage().data_ptr()


def test_noise_is_of_the_seed_and_of_the_window(studio: Studio) -> None:
    def starts(seed: int) -> list[torch.Tensor]:
        studio.calls.clear()
        _all(studio.models(), _request(seed=seed, steps=1))
        # The last latent frame is never given.
        return [call["hidden_states"][:, :16, -1] for call in studio.calls]

    one, again, other = starts(1), starts(1), starts(2)
    assert all(torch.equal(left, right) for left, right in zip(one, again, strict=True))
    every = [*one, *other]
    assert all(not torch.equal(every[i], every[j]) for i in range(6) for j in range(i))


def test_the_global_random_numbers_are_left_alone(studio: Studio) -> None:
    before = torch.get_rng_state()
    for official in (False, True):
        _all(studio.models(), _request(official_noise=official, steps=1))
    assert torch.equal(torch.get_rng_state(), before)


# --- cancel, progress, caches ---------------------------------------------------------------------------


@pytest.mark.parametrize("passes", [0, 1, 4, 5])
def test_cancel_stops_before_the_next_pass(studio: Studio, passes: int) -> None:
    """Three passes a step, two steps: also in the middle of a step, and in the second window."""
    request = _request(guidance=Guidance(5.0, 4.0))
    done: list[Window] = []
    run = generate(
        studio.models(),
        request,
        on_step=lambda _progress: None,
        cancelled=lambda: len(studio.calls) >= passes,
    )
    with pytest.raises(TaskCancelled):
        done.extend(run)
    assert len(studio.calls) == passes
    assert not done


def test_windows_before_a_cancel_stay_and_can_be_continued(studio: Studio) -> None:
    request = _request()
    whole = _all(studio.models(), request)
    studio.calls.clear()
    done: list[Window] = []
    with pytest.raises(TaskCancelled):
        for window in generate(
            studio.models(), request, on_step=lambda _p: None, cancelled=lambda: len(studio.calls) >= 3
        ):
            done.append(window)
    assert len(done) == 1
    rest = _all(studio.models(), request, done[0].checkpoint)
    assert torch.equal(_film([*done, *rest]), _film(whole))


def test_progress_counts_every_step_of_every_window(studio: Studio) -> None:
    seen: list[Progress] = []
    for _ in generate(studio.models(), _request(), on_step=seen.append, cancelled=lambda: False):
        pass
    assert [(p.window, p.windows, p.step, p.steps) for p in seen] == [
        (window, 3, step, 2) for window in (1, 2, 3) for step in (1, 2)
    ]
    assert seen[0].latents.shape == (1, 16, 4, 4, 4)


def test_a_teacache_in_the_loop_reuses_per_pass_and_starts_anew_with_each_window(real_studio: Studio) -> None:
    plain = _film(_all(real_studio.models(), _request(guidance=Guidance(1.0, 2.0))))
    off = TeaCache(threshold=0.0)
    assert torch.equal(
        _film(_all(real_studio.models(cache=off), _request(guidance=Guidance(1.0, 2.0)))), plain
    )
    assert (off.computed, off.reused) == (12, 0)
    on = TeaCache(threshold=1e9, warm_steps=1)
    _all(real_studio.models(cache=on), _request(guidance=Guidance(1.0, 2.0)))
    assert (on.computed, on.reused) == (6, 6)


def test_a_checkpoint_after_the_last_window_leaves_nothing_to_do(studio: Studio) -> None:
    first = _all(studio.models(), _request(frames=21, steps=1))[0].checkpoint
    assert first is not None
    studio.calls.clear()
    beyond = Checkpoint(2, first.motion, first.colours, first.noise)
    assert _all(studio.models(), _request(frames=21, steps=1), beyond) == []
    assert not studio.calls
