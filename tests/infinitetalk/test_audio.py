"""From a WAV to the rows that drive the picture: resampling, loudness, wav2vec2 at 25 frames/s, windows."""

from __future__ import annotations

import math
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional
from transformers import Wav2Vec2FeatureExtractor

from tests.infinitetalk.speech_models import babble, tiny_speech_model, tiny_wav2vec2, write_wav
from workers.handler import TaskError
from workers.infinitetalk.audio import LEAST_FRAMES, SpeechTrack, open_track, open_tracks
from workers.infinitetalk.audio_projection import split_windows
from workers.infinitetalk.audio_windows import (
    TensorFeatures,
    audio_windows,
    latent_groups,
    row_of,
    window_rows,
)
from workers.infinitetalk.loudness import gain_to, integrated_loudness, k_weighting
from workers.infinitetalk.resample import ArraySound, Resampled, WavFile
from workers.infinitetalk.speech_model import NormalisedSound, SpeechModel


def tone(hertz: float, seconds: float, rate: int) -> np.ndarray:
    return np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


# --- the file ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize("channels", [1, 2])
def test_every_pcm_width_is_read_as_it_was_written(tmp_path: Path, width: int, channels: int) -> None:
    samples = 0.7 * tone(440, 0.01, 24_000)
    sound = WavFile(write_wav(tmp_path / "a.wav", samples, width=width, channels=channels))
    assert (sound.rate, sound.length) == (24_000, 240)
    assert np.abs(sound.read(0, 240) - samples).max() <= 0.5001 / 2 ** (8 * width - 1)
    assert np.array_equal(sound.read(0, 240)[100:150], sound.read(100, 50))


def test_what_is_not_a_whole_pcm_wav_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("not a wav", "utf-8")
    with pytest.raises(TaskError, match="not a PCM WAV") as refused:
        WavFile(tmp_path / "text.wav")
    assert refused.value.code == "audio_unreadable"
    with pytest.raises(TaskError, match="no sound"):
        WavFile(write_wav(tmp_path / "empty.wav", np.zeros(0)))
    cut = write_wav(tmp_path / "cut.wav", np.zeros(1000))
    cut.write_bytes(cut.read_bytes()[:-100])
    with pytest.raises(TaskError, match="ends before"):
        WavFile(cut).read(0, 1000)


# --- resampling -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [8_000, 22_050, 24_000, 44_100, 48_000])
def test_a_tone_keeps_its_height_phase_and_loudness(rate: int) -> None:
    hertz = 1_000.0
    resampled = Resampled(ArraySound(tone(hertz, 0.5, rate), rate))
    assert resampled.length == math.ceil(round(0.5 * rate) * 16_000 / rate)
    got = resampled.read(0, resampled.length)
    # Away from the ends, where the sound begins and stops at once.
    inside = slice(1_000, -1_000)
    assert np.abs(got - tone(hertz, 0.5, 16_000)[: len(got)])[inside].max() < 1e-4


def test_what_16_khz_cannot_hold_is_gone_and_what_it_holds_is_kept() -> None:
    def level(hertz: float) -> float:
        got = Resampled(ArraySound(tone(hertz, 0.5, 24_000), 24_000)).read(1_000, 6_000)
        return 20 * math.log10(np.sqrt(2 * np.square(got).mean()))

    assert all(abs(level(hertz)) < 0.01 for hertz in (40, 3_000, 7_000, 7_200))
    assert all(level(hertz) < -90 for hertz in (8_000, 8_500, 9_500, 11_500))


def test_a_stretch_is_the_same_in_whatever_pieces_it_is_read() -> None:
    sound = Resampled(ArraySound(babble(6.0, 24_000), 24_000))
    whole = sound.read(0, sound.length)
    for start, count in ((0, 1), (1, 2), (31_999, 40_003), (95_990, 10)):
        assert np.abs(sound.read(start, count) - whole[start : start + count]).max() < 1e-14


def test_a_rate_that_would_need_a_giant_filter_is_refused() -> None:
    with pytest.raises(TaskError, match="44101"):
        Resampled(ArraySound(np.zeros(100), 44_101))


def test_16_khz_is_passed_on_untouched() -> None:
    samples = babble(0.2)
    assert np.array_equal(Resampled(ArraySound(samples, 16_000)).read(7, 900), samples[7:907])


# --- loudness ---------------------------------------------------------------------------------------------


def test_the_filters_are_the_recommendations_at_48_khz() -> None:
    shelf, high_pass = k_weighting(48_000)
    # ITU-R BS.1770-4, tables 1 and 2.
    assert shelf[0] == pytest.approx((1.53512485958697, -2.69169618940638, 1.19839281085285), abs=1e-12)
    assert shelf[1] == pytest.approx((-1.69065929318241, 0.73248077421585), abs=1e-12)
    assert high_pass[0] == (1.0, -2.0, 1.0)
    assert high_pass[1] == pytest.approx((-1.99004745483398, 0.99007225036621), abs=1e-12)


# At 16 kHz the warped shelf is 0.04 dB higher at this frequency.
@pytest.mark.parametrize(("rate", "tolerance"), [(48_000, 0.002), (16_000, 0.05)])
def test_a_full_scale_tone_reads_as_the_recommendation_says(rate: int, tolerance: float) -> None:
    assert integrated_loudness(ArraySound(tone(997, 2, rate), rate)) == pytest.approx(-3.01, abs=tolerance)


def test_both_gates_leave_pauses_out() -> None:
    loud, soft = 0.1 * tone(997, 40, 16_000), 0.01 * tone(997, 40, 16_000)
    spoken = integrated_loudness(ArraySound(loud))
    with_silence = integrated_loudness(ArraySound(np.concatenate([loud, np.zeros(16_000 * 40)])))
    with_murmur = integrated_loudness(ArraySound(np.concatenate([loud, soft])))
    # A block that is half pause still counts: a hundredth of all.
    assert with_silence == pytest.approx(spoken, abs=0.1)
    assert with_murmur == pytest.approx(spoken, abs=0.1)
    # 10 LU less is 10 LU under the ungated mean only if most of the sound is loud.
    assert integrated_loudness(ArraySound(np.concatenate([loud, 0.5 * loud]))) < spoken - 1


def test_gain_reaches_the_target_and_silence_stays() -> None:
    sound = babble(3.0)
    gain = gain_to(-23.0, ArraySound(sound))
    assert integrated_loudness(ArraySound(sound * gain)) == pytest.approx(-23.0, abs=1e-6)
    assert gain_to(-23.0, ArraySound(np.zeros(16_000))) == 1.0
    assert gain_to(-23.0, ArraySound(tone(997, 0.3, 16_000))) == 1.0


# --- wav2vec2 ---------------------------------------------------------------------------------------------


def test_normalisation_is_the_feature_extractors() -> None:
    samples = babble(1.3) + 0.05
    ours = NormalisedSound(ArraySound(samples), 0).read(0, len(samples))
    theirs = Wav2Vec2FeatureExtractor(do_normalize=True)(
        samples.astype(np.float32), sampling_rate=16_000
    ).input_values[0]
    assert np.abs(ours - theirs).max() < 3e-6


def test_silence_is_added_after_the_normalisation_not_measured_by_it() -> None:
    samples = babble(0.3)
    alone = NormalisedSound(ArraySound(samples), 0)
    padded = NormalisedSound(ArraySound(samples), 9_000)
    assert padded.length == 9_000
    assert np.array_equal(padded.read(0, len(samples)), alone.read(0, len(samples)))
    assert not padded.read(len(samples), 9_000 - len(samples)).any()
    assert np.array_equal(padded.read(4_700, 500), np.concatenate([alone.read(4_700, 100), np.zeros(400)]))


def step_by_step(model: torch.nn.Module, samples: torch.Tensor, frames: int) -> torch.Tensor:
    """The published algorithm, a layer at a time, without hooks: (frames, 12, width)."""
    with torch.inference_mode():
        features = model.feature_extractor(samples[None])
        features = functional.interpolate(features, size=frames, mode="linear", align_corners=True)
        hidden, _ = model.feature_projection(features.transpose(1, 2))
        hidden = hidden + model.encoder.pos_conv_embed(hidden)
        if not model.config.do_stable_layer_norm:
            hidden = model.encoder.layer_norm(hidden)
        layers = []
        for layer in model.encoder.layers:
            hidden = layer(hidden)
            hidden = hidden[0] if isinstance(hidden, tuple) else hidden
            layers.append(hidden)
        return torch.stack(layers[:12], dim=2)[0]


def test_rows_are_exactly_those_of_the_published_steps() -> None:
    model = tiny_wav2vec2()
    samples = babble(4.017)
    track = SpeechTrack(ArraySound(samples), SpeechModel(model))
    assert track.frames == track.speech_frames == int(4.017 * 25) == 100
    normalised = NormalisedSound(ArraySound(samples), 0).read(0, len(samples))
    expected = step_by_step(model, torch.from_numpy(normalised.astype(np.float32)), 100)
    assert torch.equal(track.rows(0, 100), expected)
    assert expected.shape == (100, 12, 16)
    assert torch.equal(track.rows(40, 63), expected[40:63])


def test_the_model_is_left_as_it_was() -> None:
    model = tiny_wav2vec2()
    samples = torch.from_numpy(babble(0.5).astype(np.float32))
    before = model(samples[None]).last_hidden_state
    SpeechTrack(
        ArraySound(babble(8.0)), SpeechModel(model), whole_frames=100, piece_frames=50, context_frames=30
    ).rows(0, 20)
    assert torch.equal(model(samples[None]).last_hidden_state, before)


def test_loudness_is_taken_back_by_the_normalisation() -> None:
    model, sound = tiny_speech_model(), ArraySound(0.3 * babble(4.0))
    plain = SpeechTrack(sound, model).rows(0, 100)
    levelled = SpeechTrack(sound, model, loudness=True).rows(0, 100)
    assert gain_to(-23.0, sound) != pytest.approx(1.0, abs=0.1)
    assert (plain - levelled).abs().max() < 1e-4


@pytest.mark.parametrize("seconds", [0.02, 0.3, 1.0, 3.24])
def test_speech_shorter_than_a_window_gets_silence(seconds: float) -> None:
    track = SpeechTrack(ArraySound(babble(seconds)), tiny_speech_model())
    assert track.frames == LEAST_FRAMES == 82
    assert track.speech_frames == int(seconds * 25 + 1e-9)
    windows = audio_windows([track], 0)
    assert windows.shape == (1, 81, 5, 12, 16)
    assert windows.isfinite().all()


def test_silence_has_finite_rows() -> None:
    assert SpeechTrack(ArraySound(np.zeros(8_000)), tiny_speech_model()).rows(0, 82).isfinite().all()


# --- long speech ------------------------------------------------------------------------------------------


def long_track(sound: ArraySound, norm: str, context: int) -> SpeechTrack:
    return SpeechTrack(
        sound,
        tiny_speech_model(norm),
        whole_frames=100,
        piece_frames=130,
        context_frames=context,
        fade_frames=12,
    )


def test_the_statistics_over_time_are_those_of_the_first_convolution() -> None:
    model = tiny_speech_model()
    samples = babble(9.0) + 0.1
    found = model.statistics(ArraySound(samples))
    assert found is not None
    with torch.no_grad():
        convolution = model.model.feature_extractor.conv_layers[0].conv.double()
        values = convolution(torch.from_numpy(samples)[None, None])[0]
    assert torch.allclose(found.mean, values.mean(1), rtol=0, atol=1e-9)
    assert torch.allclose(found.variance, values.var(1, correction=0), rtol=1e-9, atol=1e-12)
    assert tiny_speech_model("layer").statistics(ArraySound(samples)) is None


@pytest.mark.parametrize("norm", ["group", "layer"])
def test_pieces_that_hear_everything_give_the_rows_of_the_whole(norm: str) -> None:
    """What is exact in pieces: samples, statistics over time, features and their interpolation."""
    sound = ArraySound(babble(17.013))
    whole = SpeechTrack(sound, tiny_speech_model(norm)).rows(0, 425)
    pieces = long_track(sound, norm, context=1_000).rows(0, 425)
    # Rounding, which twelve random layers enlarge at a few places; what is left out would show everywhere.
    assert (pieces - whole).abs().max() < 5e-3
    assert (pieces - whole).abs().mean() < 3e-5


def test_pieces_with_context_stay_near_the_whole_and_meet_without_a_step() -> None:
    sound = ArraySound(babble(17.013))
    whole = SpeechTrack(sound, tiny_speech_model()).rows(0, 425)
    rows = long_track(sound, "group", context=100).rows(0, 425)
    error = (rows - whole).abs().mean(dim=(1, 2)) / whole.abs().mean()
    assert error.mean() < 0.1
    # The step from a frame to the next where pieces meet, against those of the whole at the same places.
    for meeting in (130, 260, 390):
        for frame in range(meeting - 13, meeting + 13):
            if frame < 424:
                ours = (rows[frame + 1] - rows[frame]).abs().mean()
                theirs = (whole[frame + 1] - whole[frame]).abs().mean()
                assert ours < 1.5 * theirs + 0.02


def test_rows_do_not_depend_on_the_order_they_are_asked_in() -> None:
    sound = ArraySound(babble(17.013))
    rows = long_track(sound, "group", context=60).rows(0, 425)
    other = long_track(sound, "group", context=60)
    for start, stop in ((400, 425), (0, 3), (110, 145), (247, 249), (272, 273), (100, 360)):
        assert torch.equal(other.rows(start, stop), rows[start:stop])


def test_memory_does_not_grow_with_the_speech(tmp_path: Path) -> None:
    """The file is read where it is needed; nothing as long as the speech is ever held."""
    model = tiny_speech_model()

    def peak(seconds: int) -> int:
        path = write_wav(tmp_path / f"{seconds}.wav", np.tile(babble(5.0, 24_000), seconds // 5))
        tracemalloc.start()
        try:
            track = open_track(path, model)
            assert track.frames == seconds * 25
            assert audio_windows([track], track.frames - 60).isfinite().all()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    # The additional 160 s alone are 20 MB as numbers, more than all that is held.
    assert peak(240) < 1.15 * peak(80)


# --- two speakers -----------------------------------------------------------------------------------------


def test_two_speakers_run_in_parallel(tmp_path: Path) -> None:
    first = write_wav(tmp_path / "1.wav", babble(5.0, 24_000, seed=1))
    second = write_wav(tmp_path / "2.wav", babble(4.2, 24_000, seed=2))
    model = tiny_speech_model()
    tracks = open_tracks([first, second], model)
    assert [track.frames for track in tracks] == [125, 125]
    windows = audio_windows(tracks, 72)
    assert windows.shape == (2, 81, 5, 12, 16)
    assert torch.equal(windows[:1], audio_windows([open_track(first, model)], 72))
    assert not torch.equal(windows[0], windows[1])


def test_tracks_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="parallel"):
        audio_windows([TensorFeatures(torch.zeros(9, 1, 1)), TensorFeatures(torch.zeros(8, 1, 1))], 0, 5)


# --- windows ----------------------------------------------------------------------------------------------


def test_windows_as_a_table() -> None:
    assert window_rows(0, 3, 100) == [[0, 0, 0, 1, 2], [0, 0, 1, 2, 3], [0, 1, 2, 3, 4]]
    assert window_rows(72, 2, 100) == [[70, 71, 72, 73, 74], [71, 72, 73, 74, 75]]
    # The last frame and what follows it: mirrored, the last row twice.
    assert window_rows(98, 4, 100) == [
        [96, 97, 98, 99, 99],
        [97, 98, 99, 99, 98],
        [98, 99, 99, 98, 97],
        [99, 99, 98, 97, 96],
    ]
    # Mirrored as far as there is something to mirror, then the first row.
    assert [row_of(frame, 3) for frame in range(-2, 9)] == [0, 0, 0, 1, 2, 2, 1, 0, 0, 0, 0]


def test_windows_are_those_of_the_published_loop_with_its_appended_tail() -> None:
    """The published way: append the flipped last (missing + 3) rows, then clamp the numbers."""
    rows = torch.randn(29, 12, 8, generator=torch.Generator().manual_seed(33))
    track = TensorFeatures(rows)
    for start, count in ((0, 13), (8, 13), (16, 13), (24, 13), (20, 25)):
        extended = rows
        if start + count >= len(rows):
            missing = start + count - len(rows) + 3
            extended = torch.cat([rows, rows[-missing:].flip(0)])
        numbers = torch.arange(start, start + count)[:, None] + torch.arange(-2, 3)
        expected = extended[numbers.clamp(0, len(extended) - 1)]
        assert torch.equal(audio_windows([track], start, count), expected[None])


def test_latent_frames_get_the_rows_of_the_table() -> None:
    assert latent_groups(9) == [
        [(0, 0), (0, 1), (0, 2), (0, 3), (0, 4)],
        [(1, 0), (1, 1), (1, 2), (2, 2), (3, 2), (4, 2), (4, 3), (4, 4)],
        [(5, 0), (5, 1), (5, 2), (6, 2), (7, 2), (8, 2), (8, 3), (8, 4)],
    ]
    windows = torch.randn(2, 81, 5, 3, 2, generator=torch.Generator().manual_seed(1))
    first, later = split_windows(windows)
    expected = [
        torch.stack([windows[:, frame, place] for frame, place in group], 1) for group in latent_groups(81)
    ]
    assert torch.equal(first[:, 0], expected[0])
    assert torch.equal(later, torch.stack(expected[1:], 1))
    with pytest.raises(ValueError, match="4"):
        latent_groups(80)
