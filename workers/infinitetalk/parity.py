"""The official loop from plain tensors: official weights and inputs in, the film out.

For whoever holds numbers of the official `generate_infinitetalk()` (commit 0107cd9) against this engine.
Runs in the InfiniteTalk worker's environment, on any device. Nothing here draws: these are the engine's own
transformer, codec, CLIP, conditioning, masks, guidance and sampler, put together by the official rules (one
generator for all noise, every step run, boxes as they are).

    nets = official_networks(dit, vae, clip)        # three dicts of official keys -> fp32 tensors
    film = official_film(nets, OfficialRun(         # (3, F, H, W) in [-1, 1]
        references=[picture],                       # uint8 (h, w, 3); of a video: all its frames, or {number: frame}
        speech=[features],                          # (N, 12, 768) a speaker, a row for each frame at 25 fps
        text=ctx, null_text=ctx_null,               # (n, width), n up to 512
        sizes={1.00: (64, 64), 0.67: (64, 96)},     # official: BUCKETS[480] or BUCKETS[720]
        frame_num=13, motion_frame=5, sampling_steps=4, shift=7.0,
        text_guide_scale=5.0, audio_guide_scale=4.0, seed=42,
    ))

| official option | here |
|---|---|
| `mode="clip"` | `mode="clip"`: one window, `frame_num` frames |
| `mode="streaming"`, `max_frames_num` | `mode="streaming"`, `max_frames=None` (all of the speech) or a number: the film is cut there |
| `text_guide_scale`, `audio_guide_scale` | the same; 5/4 runs three passes, 1/2 two |
| `use_apg` | `apg=True`: momentum -0.75, threshold 55, anew in every window |
| `cond_video` | `references`: the frame at each window's beginning is its reference; the last one stays |
| two `cond_audio` | two tensors in `speech`, equally long |
| `bbox` | `boxes`: two of (row_min, col_min, row_max, col_max), pixels of the first reference; None: the halves |
| `color_correction_strength` | `colour_strength`, towards the first reference |

The speech must last longer than `frame_num` frames, as officially; the engine itself also takes shorter one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch

from workers.infinitetalk.audio_windows import TensorFeatures, audio_windows
from workers.infinitetalk.cache import BlockCache, NoCache
from workers.infinitetalk.conditioning import Conditioner
from workers.infinitetalk.config import BUCKETS, MOTION, WINDOW, ModelConfig
from workers.infinitetalk.encoders import ImageEncoder, VaeCodec
from workers.infinitetalk.frames import Frame, FrameSource
from workers.infinitetalk.guidance import Guidance
from workers.infinitetalk.masks import Box, default_boxes, picture_masks, to_latent
from workers.infinitetalk.sampler import Models, Request, generate
from workers.infinitetalk.weights.encoders import Converted, clip_vision, wan_vae
from workers.infinitetalk.weights.formats import Entry, entries_of
from workers.infinitetalk.weights.mapping import layer_count, official_to_ours
from workers.infinitetalk.weights.tensor_file import DTYPES, TensorInfo
from workers.infinitetalk.windows import Window

State = Mapping[str, torch.Tensor]

# Wan's heads are this wide at every size.
_HEAD_DIM = 128
# CLIP-H's, which its tensors do not tell.
_CLIP_HEADS = 16


@dataclass(frozen=True)
class OfficialNetworks:
    """What a run needs, ready to be called. `dtype` is the transformer's."""

    transformer: Any
    codec: VaeCodec
    image_encoder: ImageEncoder
    device: Any = field(default_factory=lambda: torch.device("cpu"))
    dtype: Any = torch.float32
    cache: BlockCache = field(default_factory=NoCache)


@dataclass(frozen=True)
class OfficialRun:
    """One call of the official function; see the module. The defaults are the official ones."""

    references: Sequence[Frame] | Mapping[int, Frame] | FrameSource
    speech: Sequence[torch.Tensor]
    text: torch.Tensor
    null_text: torch.Tensor
    sizes: Mapping[float, tuple[int, int]] = field(default_factory=lambda: BUCKETS[480])
    frame_num: int = WINDOW
    motion_frame: int = MOTION
    mode: Literal["clip", "streaming"] = "streaming"
    max_frames: int | None = None
    sampling_steps: int = 40
    shift: float = 7.0
    text_guide_scale: float = 5.0
    audio_guide_scale: float = 4.0
    apg: bool = False
    seed: int = 42
    colour_strength: float = 1.0
    boxes: Sequence[tuple[int, int, int, int]] | None = None

    @property
    def frames(self) -> int:
        """Frames of the film."""
        spoken = int(self.speech[0].shape[0])
        if self.mode == "clip":
            return min(self.frame_num, spoken)
        return spoken if self.max_frames is None else min(spoken, self.max_frames)


class VideoFrames:
    """A reference video that is in memory: frames at 25 fps, or some of them by number. The last one stays."""

    def __init__(self, frames: Sequence[Frame] | Mapping[int, Frame]) -> None:
        self._frames = dict(frames) if isinstance(frames, Mapping) else dict(enumerate(frames))
        if not self._frames:
            raise ValueError("a reference needs a frame")

    def frame(self, index: int) -> Frame:
        """Raises ValueError for a frame that lies between those given and is not among them."""
        index = min(index, max(self._frames))
        if index not in self._frames:
            raise ValueError(f"frame {index} of the reference video was not given")
        return self._frames[index]


def official_networks(
    dit: State,
    vae: State,
    clip: State,
    *,
    config: ModelConfig | None = None,
    device: Any = "cpu",
) -> OfficialNetworks:
    """Networks of any dimensions from official state dicts (InfiniteTalk's keys among `dit`'s), in fp32.

    CLIP's text tower may be there and is left out.
    """
    from workers.infinitetalk.transformer import InfiniteTalkTransformer

    transformer = InfiniteTalkTransformer(**(config or config_of(dit)).transformer_kwargs())
    transformer.load_state_dict(official_to_ours(dit))
    return OfficialNetworks(
        transformer.eval().requires_grad_(False).to(device),
        VaeCodec(_vae(vae).requires_grad_(False).to(device)),
        ImageEncoder(_clip(clip).requires_grad_(False).to(device)),
        torch.device(device),
    )


def config_of(dit: State) -> ModelConfig:
    """Dimensions of the transformer, from the shapes of its official tensors."""

    def size(name: str, axis: int = 0) -> int:
        return int(dit[name].shape[axis])

    dim, audio_dim = size("patch_embedding.weight"), size("audio_proj.norm.weight")
    return ModelConfig(
        heads=dim // _HEAD_DIM,
        head_dim=_HEAD_DIM,
        layers=layer_count(dit),
        ffn_dim=size("blocks.0.ffn.0.weight"),
        text_dim=size("text_embedding.0.weight", 1),
        freq_dim=size("time_embedding.0.weight", 1),
        image_dim=size("img_emb.proj.0.weight"),
        audio_hidden=size("audio_proj.proj1.weight"),
        audio_dim=audio_dim,
        audio_tokens=size("audio_proj.proj3.weight") // audio_dim,
    )


def official_film(networks: OfficialNetworks, run: OfficialRun) -> torch.Tensor:
    """The whole film, (3, F, H, W) fp32 on the CPU in [-1, 1]. All of it is in memory: for short films."""
    return torch.cat([window.pixels for window in official_windows(networks, run)], dim=1)


def official_windows(networks: OfficialNetworks, run: OfficialRun) -> Iterator[Window]:
    """The film window by window. Raises ValueError for what the official function asserts."""
    request = official_request(networks, run)
    models = Models(
        networks.transformer,
        networks.codec.encode,
        networks.codec.decode,
        device=networks.device,
        dtype=networks.dtype,
        cache=networks.cache,
    )
    return generate(models, request, on_step=lambda _progress: None, cancelled=lambda: False)


def official_request(networks: OfficialNetworks, run: OfficialRun) -> Request:
    """What the sampler is asked for."""
    tracks = [TensorFeatures(rows) for rows in run.speech]
    if len(tracks) not in (1, 2) or any(track.frames <= run.frame_num for track in tracks):
        raise ValueError("one or two speakers, whose speech lasts longer than a window")
    given = run.references
    source: FrameSource = VideoFrames(given) if isinstance(given, (Sequence, Mapping)) else given
    picture = (source.frame(0).shape[0], source.frame(0).shape[1])
    ratio = picture[0] / picture[1]
    size = run.sizes[min(run.sizes, key=lambda key: abs(key - ratio))]
    conditioner = Conditioner(source, size, networks.codec, networks.image_encoder, frames=run.frame_num)
    boxes = default_boxes(picture) if run.boxes is None else [Box(*box) for box in run.boxes]
    return Request(
        speech=partial(audio_windows, tracks),
        condition=conditioner.at,
        reference=lambda: conditioner.at(0).pixels[0, :, 0],
        text=_batch(run.text),
        null_text=_batch(run.null_text),
        frames=run.frames,
        seed=run.seed,
        steps=run.sampling_steps,
        shift=run.shift,
        guidance=Guidance(run.text_guide_scale, run.audio_guide_scale, run.apg),
        masks=to_latent(picture_masks(picture, boxes), size) if len(tracks) == 2 else None,
        colour_strength=run.colour_strength,
        window=run.frame_num,
        motion=run.motion_frame,
        official_noise=True,
    )


def _batch(text: torch.Tensor) -> torch.Tensor:
    return text if text.ndim == 3 else text[None]


def _vae(state: State) -> Any:
    from diffusers import AutoencoderKLWan

    base_dim, z_dim = (int(state[f"{name}.weight"].shape[0]) for name in ("encoder.conv1", "conv2"))
    model = AutoencoderKLWan(base_dim=base_dim, z_dim=z_dim)
    model.load_state_dict(_converted(state, wan_vae))
    return model


def _clip(state: State) -> Any:
    from transformers import CLIPVisionConfig, CLIPVisionModel

    entries = _converted(state, clip_vision)
    width, _, patch, _ = entries["embeddings.patch_embedding.weight"].shape
    places = entries["embeddings.position_embedding.weight"].shape[0]
    names = {name.split(".")[2] for name in entries if name.startswith("encoder.layers.")}
    config = CLIPVisionConfig(
        hidden_size=width,
        intermediate_size=entries["encoder.layers.0.mlp.fc1.weight"].shape[0],
        num_hidden_layers=len(names),
        num_attention_heads=_CLIP_HEADS,
        image_size=round((places - 1) ** 0.5) * patch,
        patch_size=patch,
        hidden_act="gelu",
        layer_norm_eps=1e-5,
    )
    model = CLIPVisionModel(config)
    own = model.state_dict()
    prefix = "vision_model." if any(name.startswith("vision_model.") for name in own) else ""
    wanted = {prefix + name: value for name, value in entries.items() if prefix + name in own}
    missing, _ = model.load_state_dict(wanted, strict=False)
    # The last norm is read by nobody: the tokens are those before the last layer.
    if absent := [name for name in missing if not name.endswith(("position_ids", "post_layernorm.weight"))]:
        raise ValueError(f"CLIP's weights are not all there: {absent[:5]}")
    return model


class _Memory:
    """A `TensorSource` of tensors that are there already."""

    path = Path("memory")
    metadata: Mapping[str, str] = {}

    def __init__(self, state: State) -> None:
        names = {dtype: name for name, dtype in DTYPES.items()}
        self._state = state
        self.entries: Mapping[str, TensorInfo] = {
            key: TensorInfo(names[value.dtype], tuple(value.shape), 0, int(value.nbytes))
            for key, value in state.items()
        }

    def read(self, name: str) -> Any:
        return self._state[name]


def _converted(state: State, convert: Callable[[Mapping[str, Entry]], Converted]) -> dict[str, torch.Tensor]:
    """Official tensors under the names that the libraries' classes have."""
    converted = convert(entries_of(_Memory(state), others=True))
    return {name: entry.read()[0].reshape(entry.shape) for name, entry in converted.items()}
