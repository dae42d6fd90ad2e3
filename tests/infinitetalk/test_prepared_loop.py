"""The engine's own preparation of speech, picture and masks, held to the official films.

The rig of the loop prepares its inputs by hand; here the engine's modules take their place.
"""

from __future__ import annotations

from functools import cache, partial

import torch

from tests.infinitetalk import loop_rig
from tests.infinitetalk.tiny import loop_golden
from workers.infinitetalk.audio_windows import TensorFeatures, audio_windows
from workers.infinitetalk.conditioning import Conditioner
from workers.infinitetalk.encoders import ImageEncoder, VaeCodec
from workers.infinitetalk.frames import ImageSource
from workers.infinitetalk.masks import speaker_masks
from workers.infinitetalk.sampler import generate

SIZE = (64, 96)


@cache
def conditioner() -> Conditioner:
    source = ImageSource(loop_golden()["frame/0"].numpy())
    clip = ImageEncoder(loop_rig._clip())
    return Conditioner(source, SIZE, VaeCodec(loop_rig.vae()), clip, frames=loop_rig.WINDOW)


def tracks(speakers: int) -> list[TensorFeatures]:
    generator = torch.Generator().manual_seed(loop_rig.AUDIO_SEED)
    return [
        TensorFeatures(torch.randn(loop_rig.FRAMES, 12, 768, generator=generator)) for _ in range(speakers)
    ]


def masks() -> torch.Tensor:
    height, width = loop_golden()["frame/0"].shape[:2]
    return speaker_masks((height, width), SIZE)


def test_what_the_transformer_is_given_is_what_the_rig_made_by_hand() -> None:
    made, rig = conditioner().at(0), loop_rig.condition(0)
    assert (made.pixels[0, :, 0] - loop_rig.reference()).abs().max() <= 1e-6
    assert (made.y - rig.y).abs().max() <= 1e-5
    assert (made.clip - rig.clip).abs().max() <= 1e-4
    assert torch.equal(masks(), loop_rig.default_masks())
    for start in (0, 8, 16):
        windows = loop_rig.request(2).speech(start, loop_rig.WINDOW)
        assert torch.equal(audio_windows(tracks(2), start, loop_rig.WINDOW), windows)


def test_the_film_made_with_the_engines_own_parts_is_the_official_one() -> None:
    codec = VaeCodec(loop_rig.vae())
    models = loop_rig.models(encode_video=codec.encode, decode_video=codec.decode)
    request = loop_rig.request(
        2,
        steps=3,
        speech=partial(audio_windows, tracks(2)),
        condition=conditioner().at,
        reference=lambda: conditioner().at(0).pixels[0, :, 0],
        masks=masks(),
    )
    windows = generate(models, request, on_step=lambda _progress: None, cancelled=lambda: False)
    film = torch.cat([window.pixels for window in windows], dim=1)
    error = (film - loop_golden()["out/2 speakers default masks"]).abs()
    assert error.mean() <= 5e-5
    # The colour match is steep near black; the study's own bound.
    assert error.max() <= 1.2e-3
