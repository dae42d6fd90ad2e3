"""The wrappers around umT5, CLIP and the VAE, on tiny random models: bit for bit what direct calls give."""

from __future__ import annotations

import pytest
import torch
from diffusers import AutoencoderKLWan
from diffusers.pipelines.wan.pipeline_wan import prompt_clean
from torch.nn import functional
from transformers import BatchEncoding, CLIPVisionConfig, CLIPVisionModel, UMT5Config, UMT5EncoderModel

from workers.infinitetalk.config import TEXT_TOKENS
from workers.infinitetalk.encoders import ImageEncoder, TextEncoder, VaeCodec, cleaned


@pytest.fixture(autouse=True)
def _same_numbers_every_time() -> None:
    torch.manual_seed(7)


class Letters:
    """A tokenizer of letters with T5's end mark, called as the published one is."""

    def __call__(self, texts: list[str], **options: object) -> BatchEncoding:
        assert options == {
            "padding": "max_length",
            "max_length": TEXT_TOKENS,
            "truncation": True,
            "add_special_tokens": True,
            "return_attention_mask": True,
            "return_tensors": "pt",
        }
        (text,) = texts
        tokens = [2 + ord(letter) % 90 for letter in text[: TEXT_TOKENS - 1]] + [1]
        padding = TEXT_TOKENS - len(tokens)
        return BatchEncoding(
            {
                "input_ids": torch.tensor([tokens + [0] * padding]),
                "attention_mask": torch.tensor([[1] * len(tokens) + [0] * padding]),
            }
        )


def text_encoder() -> TextEncoder:
    config = UMT5Config(vocab_size=92, d_model=16, d_kv=8, d_ff=24, num_layers=2, num_heads=2)
    return TextEncoder(Letters(), UMT5EncoderModel(config))


def image_encoder() -> ImageEncoder:
    config = CLIPVisionConfig(
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=3,
        num_attention_heads=2,
        image_size=224,
        patch_size=14,
    )
    return ImageEncoder(CLIPVisionModel(config))


def codec() -> VaeCodec:
    vae = AutoencoderKLWan(base_dim=8, z_dim=16, num_res_blocks=1)
    for parameter in vae.parameters():
        parameter.requires_grad_(False)
    return VaeCodec(vae)


# --- text -------------------------------------------------------------------------------------------------


def test_text_is_the_encoders_last_state_and_zeros_after_its_end() -> None:
    encoder = text_encoder()
    got = encoder("A woman talks.")
    tokens = Letters()(
        ["A woman talks."],
        padding="max_length",
        max_length=TEXT_TOKENS,
        truncation=True,
        add_special_tokens=True,
        return_attention_mask=True,
        return_tensors="pt",
    )
    with torch.no_grad():
        direct = encoder.model(tokens["input_ids"], tokens["attention_mask"]).last_hidden_state
    assert got.shape == (1, 512, 16)
    assert torch.equal(got[:, :15], direct[:, :15])
    assert not got[:, 15:].any()
    assert direct[:, 15:].any()


def test_long_text_is_cut_and_short_text_does_not_feel_the_padding() -> None:
    encoder = text_encoder()
    assert encoder("x" * 5_000).shape == (1, 512, 16)
    with torch.no_grad():
        tokens = torch.tensor([[2 + ord(letter) % 90 for letter in "Hello"] + [1]])
        alone = encoder.model(tokens).last_hidden_state
    assert (encoder("Hello")[:, :6] - alone).abs().max() < 1e-5


def test_text_is_cleaned_as_published() -> None:
    assert cleaned("  a \n\t man &amp;amp; a&nbsp;dog ") == "a man & a dog"
    assert cleaned("一位女士\u3000在说话。") == "一位女士 在说话。"
    # What diffusers' own Wan pipeline makes of a prompt, which follows the publisher.
    for text in (
        "  a \n\t man &amp;amp; a&nbsp;dog ",
        "“Hello” — she said‘s, \ufb01ne",
        "一位女士，在说话！（微笑）：“好”？ＡＢＣ１２３％",
        "cafe\u0301, schÃ¶n, a\x07b\r\nc \u2028 d",
    ):
        assert cleaned(text) == prompt_clean(text)
    assert cleaned("一位女士，在说话！ＡＢＣ") == "一位女士,在说话!ABC"


# --- picture ----------------------------------------------------------------------------------------------


def test_a_picture_is_the_state_before_the_last_layer() -> None:
    encoder = image_encoder()
    pixels = torch.rand(1, 3, 64, 96) * 2 - 1
    square = functional.interpolate(pixels, size=(224, 224), mode="bicubic", align_corners=False)
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073])[:, None, None]
    deviation = torch.tensor([0.26862954, 0.26130258, 0.27577711])[:, None, None]
    with torch.no_grad():
        states = encoder.model(
            ((square * 0.5 + 0.5) - mean) / deviation, output_hidden_states=True
        ).hidden_states
    assert len(states) == 4
    got = encoder(pixels)
    assert got.shape == (1, 257, 32)
    assert torch.equal(got, states[2])
    assert not torch.equal(got, states[3])


def test_the_picture_is_squashed_not_cropped() -> None:
    # Left half black, right half white, wider than high: a crop to a square would keep the halves' edge too,
    # but would lose the marks at both ends.
    pixels = torch.zeros(1, 3, 64, 192) - 1
    pixels[..., 96:] = 1
    pixels[..., :16] = 1
    prepared = image_encoder().prepare(pixels)
    white = prepared[0, 0, 112, -1]
    assert prepared.shape == (1, 3, 224, 224)
    assert prepared[0, 0, 112, 4] == pytest.approx(float(white), abs=1e-5)
    assert prepared[0, 0, 112, 60] < white


# --- video ------------------------------------------------------------------------------------------------


def test_latents_are_the_distributions_mean_brought_to_mean_0_and_deviation_1() -> None:
    video = codec()
    pixels = torch.rand(1, 3, 5, 32, 48) * 2 - 1
    got = video.encode(pixels)
    direct = video.vae.encode(pixels).latent_dist.mean
    mean = torch.tensor(video.vae.config.latents_mean).view(1, 16, 1, 1, 1)
    deviation = torch.tensor(video.vae.config.latents_std).view(1, 16, 1, 1, 1)
    assert got.shape == (1, 16, 2, 4, 6)
    assert torch.equal(got, (direct - mean) / deviation)
    assert torch.equal(video.encode(pixels), got)


def test_decoding_takes_the_statistics_back_and_stays_in_range() -> None:
    video = codec()
    latents = torch.randn(1, 16, 2, 4, 6)
    mean = torch.tensor(video.vae.config.latents_mean).view(1, 16, 1, 1, 1)
    deviation = torch.tensor(video.vae.config.latents_std).view(1, 16, 1, 1, 1)
    direct = video.vae.decode(latents * deviation + mean).sample
    got = video.decode(latents)
    assert got.shape == (1, 3, 5, 32, 48)
    assert torch.equal(got, direct.clamp(-1, 1))
    assert video.decode(latents * 1e4).abs().max() <= 1


def test_results_can_be_changed_in_place() -> None:
    """The sampler pins and moves latents: nothing here may come out as an inference tensor."""
    video, image, text = codec(), image_encoder(), text_encoder()
    made = [video.encode(torch.zeros(1, 3, 1, 16, 16)), video.decode(torch.zeros(1, 16, 1, 2, 2))]
    made += [image(torch.zeros(1, 3, 16, 16)), text("a")]
    for tensor in made:
        assert not tensor.is_inference()
        assert not tensor.requires_grad
        tensor.add_(1)


def test_tiling_is_a_switch_and_changes_only_the_way() -> None:
    video = codec()
    # Smaller tiles than the usual 256 pixels, for a smaller picture.
    video.vae.tile_sample_min_height = video.vae.tile_sample_min_width = 64
    video.vae.tile_sample_stride_height = video.vae.tile_sample_stride_width = 48
    latents = torch.randn(1, 16, 1, 12, 10)
    whole = video.decode(latents)
    with video.tiled():
        assert video.vae.use_tiling
        tiles = video.decode(latents)
    assert not video.vae.use_tiling
    assert tiles.shape == whole.shape == (1, 3, 1, 96, 80)
    # The VAE's middle looks at the whole picture, or the whole tile: near, not equal.
    assert not torch.equal(tiles, whole)
    assert (tiles - whole).abs().mean() < 0.5 * whole.abs().mean()
    video.tiling(True)
    with pytest.raises(RuntimeError), video.tiled():
        raise RuntimeError
    assert video.vae.use_tiling
    video.tiling(False)
    assert torch.equal(video.decode(latents), whole)
