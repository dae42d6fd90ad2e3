"""The networks of the engine: loaded when needed, put where the plan wants them. Runs in the InfiniteTalk worker.

The text encoder is as large as half the transformer, so it comes first and goes at once; what it said is
kept. The transformer stays for the next film if that one wants the same weights in the same place.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch

from workers.infinitetalk import machine
from workers.infinitetalk.config import ModelConfig
from workers.infinitetalk.encoders import ImageEncoder, TextEncoder, VaeCodec
from workers.infinitetalk.memory import HOST_RESERVE_BYTES, RESERVE_BYTES, Plan, Storage, Weights
from workers.infinitetalk.model_folder import Description, ModelFolder
from workers.infinitetalk.ranks import Ranks
from workers.infinitetalk.speech_model import SpeechModel
from workers.infinitetalk.weights.budget import host_bytes
from workers.infinitetalk.weights.encoders import (
    load_audio_encoder,
    load_image_encoder,
    load_text_encoder,
    load_vae,
)
from workers.infinitetalk.weights.formats import Checkpoint, inspect
from workers.infinitetalk.weights.lora import apply_lora, merging, read_lora
from workers.infinitetalk.weights.placing import is_block_weight
from workers.infinitetalk.weights.stream import LoadPlan, empty, load_transformer
from workers.infinitetalk.weights.text_video import (
    empty_text_video,
    load_text_video,
    text_video_checkpoint,
    text_video_config,
)

# Sentences whose encodings are kept: 4 MB each.
_TEXTS_KEPT = 16

OnProgress = Callable[[int, int], None]


class Guest:
    """A model that lives on the card, or comes there to work and leaves again."""

    def __init__(self, module: Any, device: Any, *, at_home: bool) -> None:
        self._module = module
        self._device = device
        self._at_home = at_home

    @contextmanager
    def here(self) -> Iterator[None]:
        """The block runs with the model on the card."""
        self._module.to(self._device)
        try:
            yield
        finally:
            if not self._at_home:
                self._module.to("cpu")


class GuestCodec(VaeCodec):
    """The VAE as a guest."""

    def __init__(self, vae: Any, guest: Guest) -> None:
        super().__init__(vae)
        self._guest = guest

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        with self._guest.here():
            return super().encode(pixels)

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        with self._guest.here():
            return super().decode(latents)


class GuestImageEncoder(ImageEncoder):
    """CLIP as a guest."""

    def __init__(self, model: Any, guest: Guest) -> None:
        super().__init__(model)
        self._guest = guest

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        with self._guest.here():
            return super().__call__(pixels)


class ModelStore:
    """What is loaded. One for the life of the worker."""

    def __init__(self, folder: ModelFolder, device: Any) -> None:
        self.device = device
        self.dtype = machine.numbers_of(device)
        self._folder = folder
        self._texts: dict[str, torch.Tensor] = {}
        self._transformer: Any = None
        self._loaded: tuple[object, ...] = ()
        self._speech: SpeechModel | None = None
        self._ranks: Ranks | None = None

    def stored(self, adapter: str) -> tuple[Storage, Weights]:
        """How the files keep the blocks' weights, and how large the network is. Reads headers only."""
        checkpoint = inspect(self._transformer_paths(adapter))
        return _as_stored(checkpoint, weights_of(self._folder.description().config, self.dtype))

    def speech(self) -> SpeechModel:
        """wav2vec2, on the CPU: 0.4 GB, asked for a minute of speech at a time."""
        if self._speech is None:
            model = load_audio_encoder(self._folder.file("wav2vec2"), torch.float32, torch.device("cpu"))
            self._speech = SpeechModel(model)
        return self._speech

    def texts(self, sentences: tuple[str, ...], on_progress: OnProgress) -> tuple[torch.Tensor, ...]:
        """(1, 512, width) on the CPU for each. Loads the text encoder for what is new, and lets it go."""
        new = [sentence for sentence in dict.fromkeys(sentences) if sentence not in self._texts]
        if new:
            size = self._folder.file("text_encoder").stat().st_size
            if self._transformer is not None and machine.free_ram() < size + HOST_RESERVE_BYTES:
                self.drop_transformer()
            encoder = self._text_encoder(size, on_progress)
            for sentence in new:
                self._texts[sentence] = encoder(sentence).cpu()
            del encoder
            self._collect()
        found = tuple(self._texts[sentence] for sentence in sentences)
        while len(self._texts) > _TEXTS_KEPT:
            del self._texts[next(iter(self._texts))]
        return found

    def join(self, gpus: int, check: Callable[[], None]) -> int | None:
        """Have this many GPUs share the next transformer; returns the least free memory of the others.

        Raises TaskError when they cannot work together, and what `check` raises; then one works alone.
        """
        if self._ranks is not None and self._ranks.count == gpus:
            return self._ranks.free_vram
        self.drop_transformer()
        self._part()
        if gpus > 1:
            self._ranks = Ranks(gpus, self.device, self._folder.root.parent, check)
        return None if self._ranks is None else self._ranks.free_vram

    def transformer(
        self, description: Description, adapter: str, lora: str | None, plan: Plan, on_progress: OnProgress
    ) -> Any:
        """The transformer where `plan` wants it. Raises TaskError(model_missing)."""
        wanted = (description, adapter, lora, plan.placement, plan.storage, plan.gpus)
        if self._transformer is not None and self._loaded == wanted:
            return self._transformer
        self.drop_transformer()
        placed = (plan.placement, plan.storage)

        def own() -> Any:
            return built(self._folder, adapter, lora, placed, self.dtype, self.device, on_progress)

        if self._ranks is None:
            self._transformer = own()
        else:
            try:
                # Progress is where a cancel is heard of.
                self._transformer = self._ranks.load(adapter, lora, placed, own, lambda: on_progress(1, 1))
            except BaseException:
                self._part()
                raise
        self._loaded = wanted
        return self._transformer

    def scene_sizes(self, role: str) -> tuple[Storage, Weights, int]:
        """As `stored`, of a text-to-video transformer; last its width. Reads headers only."""
        path = self._folder.path(role)
        checkpoint = text_video_checkpoint(path)
        config = text_video_config(checkpoint, path)
        stored, weights = _as_stored(checkpoint, sizes_of(empty_text_video(config), self.dtype))
        return stored, weights, int(config["num_attention_heads"] * config["attention_head_dim"])

    def scene_transformer(self, role: str, plan: Plan, on_progress: OnProgress) -> Any:
        """A text-to-video transformer where `plan` wants it. Raises TaskError(model_missing)."""
        wanted = (role, plan.placement, plan.storage)
        if self._transformer is not None and self._loaded == wanted:
            return self._transformer
        self.drop_transformer()
        transformer = load_text_video(
            self._folder.path(role),
            self.dtype,
            machine.load_device(plan.placement, self.device),
            LoadPlan(plan.storage),
            on_progress=on_progress,
        )
        machine.place(transformer, plan.placement, self.device)
        self._transformer, self._loaded = transformer, wanted
        return transformer

    def codec(self, plan: Plan) -> GuestCodec:
        """The VAE in fp32, as published."""
        at_home = plan.encoders_at_home
        vae = load_vae(
            self._folder.file("vae"), torch.float32, self._home(at_home), config=self._diffusers_config("vae")
        )
        codec = GuestCodec(vae, Guest(vae, self.device, at_home=at_home))
        codec.tiling(plan.vae_tiling)
        return codec

    def image_encoder(self, plan: Plan) -> GuestImageEncoder:
        """CLIP-H."""
        from transformers import CLIPVisionConfig

        own = self._folder.config("image_encoder")
        at_home = plan.encoders_at_home
        model = load_image_encoder(
            self._folder.file("image_encoder"),
            self.dtype,
            self._home(at_home),
            config=None if own is None else CLIPVisionConfig(**own),
        )
        return GuestImageEncoder(model, Guest(model, self.device, at_home=at_home))

    def host_bytes(self) -> int:
        """Host memory of the transformer, which the next one may take its place in."""
        if self._transformer is None:
            return 0
        module = getattr(self._transformer, "module", self._transformer)
        return host_bytes(*module.parameters(), *module.buffers())

    def drop_transformer(self) -> None:
        """Give its memory back."""
        self._transformer, self._loaded = None, ()
        self._collect()

    def drop(self) -> None:
        """Give all memory back."""
        self._speech = None
        self._texts.clear()
        self.drop_transformer()
        self._part()

    def _part(self) -> None:
        """One GPU works alone from here on."""
        ranks, self._ranks = self._ranks, None
        if ranks is not None:
            ranks.close()

    def _text_encoder(self, size: int, on_progress: OnProgress) -> TextEncoder:
        from transformers import AutoTokenizer, UMT5Config

        own = self._folder.config("text_encoder")
        free = machine.free_vram(self.device)
        held = torch.cuda.memory_allocated(self.device) if free is not None else 0
        fits = free is not None and size + held + RESERVE_BYTES <= free
        cpu = torch.device("cpu")
        # bf16 on either: umT5 leaves the range of fp16.
        dtype = torch.float32 if self.device.type == "cpu" else torch.bfloat16
        model = load_text_encoder(
            self._folder.file("text_encoder"),
            dtype,
            self.device if fits else cpu,
            config=None if own is None else UMT5Config(**own),
            on_progress=on_progress,
        )
        tokenizer = AutoTokenizer.from_pretrained(
            str(self._folder.folder("text_encoder")), local_files_only=True
        )
        return TextEncoder(tokenizer, model)

    def _transformer_paths(self, adapter: str) -> list[Path]:
        return [self._folder.path("base"), self._folder.path(adapter)]

    def _diffusers_config(self, role: str) -> dict[str, Any] | None:
        own = self._folder.config(role)
        return (
            None if own is None else {name: value for name, value in own.items() if not name.startswith("_")}
        )

    def _home(self, at_home: bool) -> Any:
        return self.device if at_home else torch.device("cpu")

    def _collect(self) -> None:
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
            machine.give_back_pinned()


def built(
    folder: ModelFolder,
    adapter: str,
    lora: str | None,
    placed: tuple[str, str],
    dtype: Any,
    device: Any,
    on_progress: OnProgress | None = None,
) -> Any:
    """InfiniteTalk's transformer read, with its LoRA, and put where it is wanted: `placed` is (placement, storage)."""
    placement, storage = placed
    file = read_lora(folder.file(lora)) if lora else None
    # In few bits a LoRA's small changes would be lost in rounding: there it stays beside the weights.
    merged = file is not None and storage == "full"
    transformer = load_transformer(
        folder.description().config,
        [folder.path("base"), folder.path(adapter)],
        dtype,
        machine.load_device(placement, device),
        LoadPlan(cast(Storage, storage)),
        change=merging([(file, 1.0)]) if file is not None and merged else None,
        on_progress=on_progress,
    )
    if file is not None and not merged:
        apply_lora(transformer, file)
    machine.place(transformer, placement, device)
    return transformer


def _as_stored(checkpoint: Checkpoint, weights: Weights) -> tuple[Storage, Weights]:
    """What the files keep the blocks in, and the sizes that follow from it."""
    if checkpoint.precision == "gguf":
        return "gguf", replace(weights, gguf_bytes=sum(report.nbytes for report in checkpoint.reports))
    return ("fp8" if checkpoint.precision == "fp8" else "full"), weights


def weights_of(config: ModelConfig, dtype: Any) -> Weights:
    """Size of an InfiniteTalk transformer from its shapes."""
    from workers.infinitetalk.transformer import InfiniteTalkTransformer

    return sizes_of(empty(lambda: InfiniteTalkTransformer(**config.transformer_kwargs())), dtype)


def sizes_of(model: Any, dtype: Any) -> Weights:
    """Size of a transformer of Wan's family, made by `empty`."""
    exact = set(model._keep_in_fp32_modules or ())
    numbers = rows = rest = other = 0
    for name, parameter in model.named_parameters():
        kept = torch.float32 if exact & set(name.split(".")) else dtype
        size = parameter.numel() * kept.itemsize
        if is_block_weight(model, name):
            numbers += parameter.numel()
            rows += parameter.shape[0]
        elif name.startswith("blocks."):
            rest += size
        else:
            other += size
    blocks = len(model.blocks)
    return Weights(blocks, numbers // blocks, rows // blocks, rest // blocks, other)
