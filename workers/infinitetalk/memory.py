"""Where the weights lie while a film is made. Runs in the InfiniteTalk worker; pure, imports nothing heavy.

Free bytes of the card and of the host, size of the picture, type of the weight files -> `Plan`. The ways,
best first: all weights on the card as they are; all on the card in eight bits; block by block from the
host, where the next block travels while the one before computes; the same in eight bits. Each first with
the encoders and the video decoder at home on the card, then with them moved in and out, then with the
picture decoded in tiles. The first that fits both memories is taken, and `step_down` is the next one.

    denoising   weights on the card + tokens · ACTIVATION + encoders at home
    decoding    weights on the card (none when streamed) + pixels of a frame or tile · VAE_DECODE + VAE

Figures: the study of the published model (shared facts, section 6) and the shapes of the network. None of
them was measured on a GPU yet; `RESERVE` is what they may be wrong by before an allocation fails.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from workers.handler import TaskError

GIB = 1 << 30

Storage = Literal["full", "fp8", "int8", "gguf"]
Placement = Literal["resident", "streamed", "cpu"]

# Activations of one pass: about 5 GiB at the 33,600 tokens of 640 x 640 (section 6, an estimate); they
# grow with the tokens, because attention keeps no map and the feed-forward layer is computed at once.
ACTIVATION_BYTES_PER_TOKEN = 5 * GIB / 33_600
# The decoder's last stage at full size works on 4 frames at once. In fp32: 192 channels in (3 KiB a
# pixel), the same behind the 2 kept frames for the causal convolution (4.5), its output, norm and
# activation of 96 channels (1.5 each), and as much again for the convolution's scratch.
VAE_DECODE_BYTES_PER_PIXEL = 14 << 10
# Side of a decoded tile: diffusers' `AutoencoderKLWan` default.
VAE_TILE = 256
# A decoded window of 81 frames, three colours, fp32, and the tiles or chunks it is joined from.
VAE_OUTPUT_BYTES_PER_PIXEL = 2 * 81 * 3 * 4
# The VAE in fp32 (127 million parameters) and CLIP-H in bf16 (632 million).
VAE_BYTES = 508_000_000
CLIP_BYTES = 1_264_000_000
# Allocator blocks that are split, library workspaces, and errors of the figures above.
RESERVE_BYTES = GIB // 2
# What the process itself and the encoders take of the host while the transformer is there.
HOST_RESERVE_BYTES = 2 * GIB
# A streamed block is on the card twice: the one that computes and the one that arrives.
BLOCKS_IN_FLIGHT = 2


@dataclass(frozen=True)
class Weights:
    """Size of a transformer: numbers in the blocks' linear layers, rows of these, bytes of the rest."""

    blocks: int
    block_numbers: int
    block_rows: int
    block_rest_bytes: int
    other_bytes: int
    gguf_bytes: int | None = None  # of all blocks, when the file is GGUF

    def block_bytes(self, storage: Storage) -> int:
        """One block as it is kept; eight bits have an fp32 scale a row."""
        if storage == "gguf" and self.gguf_bytes is not None:
            return self.gguf_bytes // self.blocks + self.block_rest_bytes
        if storage in ("fp8", "int8"):
            return self.block_numbers + 4 * self.block_rows + self.block_rest_bytes
        return 2 * self.block_numbers + self.block_rest_bytes

    def total_bytes(self, storage: Storage) -> int:
        return self.blocks * self.block_bytes(storage) + self.other_bytes


# The published model, counted from its shapes: 18,882,046,784 parameters, 35.2 GiB in bf16.
FULL_WEIGHTS = Weights(
    blocks=40,
    block_numbers=463_994_880,
    block_rows=90_624,
    block_rest_bytes=437_248,
    other_bytes=686_226_048,
)


@dataclass(frozen=True)
class Facts:
    """What the plan depends on. `free_vram` is None without a card, else free bytes after its context.

    With several GPUs `free_vram` is that of the fullest.
    `stored`: the blocks' weights in the files. What is already in eight bits gains nothing by growing.
    """

    free_vram: int | None
    free_ram: int
    tokens: int
    pixels: int
    weights: Weights = FULL_WEIGHTS
    stored: Storage = "full"
    gpus: int = 1  # that share the tokens of a pass; each holds all weights
    kept_bytes: int = 0  # of one GPU, kept from step to step (a cache of passes)


@dataclass(frozen=True)
class Plan:
    """Where everything lies, and the bytes this is expected to take at most."""

    placement: Placement
    storage: Storage
    encoders_at_home: bool
    vae_tiling: bool
    vram_bytes: int
    ram_bytes: int
    rung: int = 0
    tight: bool = False
    gpus: int = 1

    def sentence(self) -> str:
        """The plan for a person and the log."""
        kind = {"full": "16-bit", "fp8": "8-bit (fp8)", "int8": "8-bit (int8)", "gguf": "GGUF"}[self.storage]
        if self.placement == "cpu":
            shared = f" {self.gpus} processes share every pass." if self.gpus > 1 else ""
            return f"All weights stay in host memory, {_gib(self.ram_bytes)}: there is no GPU.{shared}"
        where = (
            f"{kind} weights stay on the GPU"
            if self.placement == "resident"
            else f"{kind} weights are streamed to the GPU block by block from {_gib(self.ram_bytes)} of host memory"
        )
        encoders = "encoders beside them" if self.encoders_at_home else "encoders moved in when needed"
        decoding = "video decoded in tiles" if self.vae_tiling else "video decoded whole"
        shared = f" on each of {self.gpus} GPUs that share every pass" if self.gpus > 1 else ""
        tight = "; less is free, so it may not fit" if self.tight else ""
        return f"{where}; {encoders}; {decoding}; about {_gib(self.vram_bytes)} of GPU memory{shared}{tight}."

    def record(self) -> dict[str, Any]:
        """For the result of the task."""
        return {
            "placement": self.placement,
            "storage": self.storage,
            "encoders_at_home": self.encoders_at_home,
            "vae_tiling": self.vae_tiling,
            "expected_vram_bytes": self.vram_bytes,
            "expected_ram_bytes": self.ram_bytes,
            "rung": self.rung,
            "tight": self.tight,
            "gpus": self.gpus,
            "sentence": self.sentence(),
        }


def plan(facts: Facts, *, rung: int = 0) -> Plan:
    """The best plan that fits, then `rung` steps down. Raises TaskError(host_oom, gpu_oom).

    When the estimate says that nothing fits the card, the smallest is tried all the same and marked
    `tight`: the estimates are careful. A rung below the last one is the card's end: `gpu_oom`.
    """
    chosen = _first(facts)
    for _ in range(rung):
        lower = step_down(chosen, facts)
        if lower is None:
            raise TaskError(
                "gpu_oom",
                "The GPU's memory does not suffice for this picture size, however the weights are placed. "
                "Choose 480p, close other programs that use the GPU, or choose another engine.",
                detail=chosen.sentence(),
            )
        chosen = lower
    return chosen


def smallest(facts: Facts) -> Plan:
    """The plan that takes the least of the card. Raises TaskError(host_oom)."""
    chosen = plan(facts)
    while (lower := step_down(chosen, facts)) is not None:
        chosen = lower
    return chosen


def step_down(current: Plan, facts: Facts) -> Plan | None:
    """The next plan that takes less of the card and fits the host; None after the last one."""
    passed = False
    for candidate in _ladder(facts):
        if passed and candidate.vram_bytes < current.vram_bytes and _fits_host(candidate, facts):
            return _numbered(candidate, facts, current.rung + 1)
        passed = passed or _same(candidate, current)
    return None


def _first(facts: Facts) -> Plan:
    ladder = list(_ladder(facts))
    for candidate in ladder:
        if _fits_host(candidate, facts) and _fits_card(candidate, facts):
            return candidate
    smallest = min(ladder, key=lambda candidate: candidate.vram_bytes)
    if not _fits_host(smallest, facts):
        raise TaskError(
            "host_oom",
            "This computer's memory does not suffice for InfiniteTalk on this GPU: "
            f"{_gib(smallest.ram_bytes + HOST_RESERVE_BYTES)} must be free, and {_gib(facts.free_ram)} are. "
            "Close other programs, or choose another engine.",
            detail=f"free: {facts.free_ram} bytes of RAM, {facts.free_vram} bytes of GPU memory",
        )
    return _numbered(smallest, facts, 0)


def _ladder(facts: Facts) -> Iterator[Plan]:
    """All plans, best first."""
    if facts.free_vram is None:
        ram = facts.gpus * facts.weights.total_bytes(facts.stored)
        yield Plan("cpu", facts.stored, True, False, 0, ram, gpus=facts.gpus)
        return
    storages: tuple[Storage, ...] = ("full", "fp8") if facts.stored == "full" else (facts.stored,)
    placements: tuple[Placement, ...] = ("resident", "streamed")
    for placement in placements:
        for storage in storages:
            for at_home, tiling in ((True, False), (False, False), (False, True)):
                yield _plan(facts, placement, storage, at_home, tiling)


def _plan(facts: Facts, placement: Placement, storage: Storage, at_home: bool, tiling: bool) -> Plan:
    weights = facts.weights
    if placement == "resident":
        on_card = left_on_card = weights.total_bytes(storage)
        ram = 0
    else:
        # The embedders are on the card during a pass and leave it with the last block.
        on_card = BLOCKS_IN_FLIGHT * weights.block_bytes(storage) + weights.other_bytes
        left_on_card = 0
        ram = facts.gpus * weights.total_bytes(storage)
    home = VAE_BYTES + CLIP_BYTES if at_home else 0
    tokens = -(-facts.tokens // facts.gpus)
    denoising = on_card + home + round(tokens * ACTIVATION_BYTES_PER_TOKEN) + facts.kept_bytes
    drawn = min(facts.pixels, VAE_TILE * VAE_TILE) if tiling else facts.pixels
    decoding = left_on_card + (home or VAE_BYTES)
    decoding += drawn * VAE_DECODE_BYTES_PER_PIXEL + facts.pixels * VAE_OUTPUT_BYTES_PER_PIXEL
    vram = max(denoising, decoding) + RESERVE_BYTES
    return Plan(placement, storage, at_home, tiling, vram, ram, gpus=facts.gpus)


def _numbered(candidate: Plan, facts: Facts, rung: int) -> Plan:
    return replace(candidate, rung=rung, tight=not _fits_card(candidate, facts))


def _fits_card(candidate: Plan, facts: Facts) -> bool:
    return facts.free_vram is None or candidate.vram_bytes <= facts.free_vram


def _fits_host(candidate: Plan, facts: Facts) -> bool:
    return candidate.ram_bytes + HOST_RESERVE_BYTES <= facts.free_ram


def _same(one: Plan, other: Plan) -> bool:
    return (one.placement, one.storage, one.encoders_at_home, one.vae_tiling) == (
        other.placement,
        other.storage,
        other.encoders_at_home,
        other.vae_tiling,
    )


def _gib(count: int) -> str:
    return f"{count / GIB:.1f} GiB"
