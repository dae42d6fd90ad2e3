"""The memory planner, from facts alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from workers.handler import TaskError
from workers.infinitetalk.config import ModelConfig, token_count
from workers.infinitetalk.memory import (
    FULL_WEIGHTS,
    GIB,
    VAE_TILE,
    Facts,
    Plan,
    plan,
    step_down,
)
from workers.infinitetalk.transformer import InfiniteTalkTransformer
from workers.infinitetalk.weights.stream import empty, host_budget


def facts(vram: float | None, ram: float, side: int = 640, *, stored: str = "full") -> Facts:
    card = None if vram is None else int(vram * GIB)
    return Facts(card, int(ram * GIB), token_count(side, side), side * side, stored=stored)


def places(chosen: Plan) -> tuple[str, str]:
    return chosen.placement, chosen.storage


def everything_below(chosen: Plan, given: Facts) -> list[Plan]:
    found = [chosen]
    while (lower := step_down(found[-1], given)) is not None:
        found.append(lower)
    return found


@pytest.mark.parametrize("storage", ["full", "fp8", "int8"])
def test_the_size_of_the_full_model_is_that_of_its_shapes(storage: str) -> None:
    model = empty(lambda: InfiniteTalkTransformer(**ModelConfig.full().transformer_kwargs()))
    _, resident = host_budget(model, storage, torch.bfloat16)
    # int8 keeps a zero point beside each scale.
    assert FULL_WEIGHTS.total_bytes(storage) == pytest.approx(resident, rel=2e-3)
    assert FULL_WEIGHTS.total_bytes("full") == pytest.approx(35.2 * GIB, rel=2e-3)


@pytest.mark.parametrize(
    ("vram", "ram", "side", "expected"),
    [
        (139, 120, 640, ("resident", "full")),
        (79, 64, 960, ("resident", "full")),
        (40, 32, 960, ("resident", "fp8")),
        (31, 32, 640, ("resident", "fp8")),
        (23, 64, 640, ("streamed", "full")),
        (23, 32, 640, ("streamed", "fp8")),
        (15, 32, 960, ("streamed", "fp8")),
        (7.2, 64, 640, ("streamed", "fp8")),
        (7.2, 24, 640, ("streamed", "fp8")),
    ],
)
def test_the_best_way_that_fits_is_taken(
    vram: float, ram: float, side: int, expected: tuple[str, str]
) -> None:
    given = facts(vram, ram, side)
    chosen = plan(given)
    assert places(chosen) == expected
    assert not chosen.tight
    assert given.free_vram is not None
    assert chosen.vram_bytes <= given.free_vram
    assert chosen.ram_bytes < given.free_ram


def test_eight_gigabytes_do_480p_and_say_that_720p_may_fail() -> None:
    small = plan(facts(7.2, 24))
    assert places(small) == ("streamed", "fp8")
    assert not small.tight
    assert small.vram_bytes < 7.5 * GIB
    large = plan(facts(7.2, 24, 960))
    assert large.tight
    assert large.vae_tiling
    assert "may not fit" in large.sentence()


def test_streaming_sixteen_bits_takes_about_eight_gibibytes_at_480p() -> None:
    """Section 6 of the study: two blocks of 0.93 GB and 5 GiB, and 13 GB at 720p."""
    for side, about in ((640, 8), (960, 14)):
        given = facts(7, 64, side)
        streamed = [
            one for one in everything_below(plan(facts(200, 64, side)), given) if one.placement == "streamed"
        ]
        moved = next(one for one in streamed if one.storage == "full" and not one.encoders_at_home)
        assert abs(moved.vram_bytes / GIB - about) < 1


def test_files_in_eight_bits_are_not_made_larger() -> None:
    for stored in ("fp8", "int8", "gguf"):
        assert plan(facts(139, 120, stored=stored)).storage == stored
        assert places(plan(facts(10, 64, stored=stored))) == ("streamed", stored)


def test_gguf_counts_as_large_as_its_file() -> None:
    given = facts(139, 120, stored="gguf")
    packed = replace(given, weights=replace(FULL_WEIGHTS, gguf_bytes=10 * GIB))
    assert plan(packed).vram_bytes < plan(given).vram_bytes - 20 * GIB


def test_every_step_down_takes_less_and_the_last_is_the_smallest() -> None:
    given = facts(79, 64)
    ladder = everything_below(plan(given), given)
    sizes = [one.vram_bytes for one in ladder]
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) == len(sizes) >= 6
    assert [one.rung for one in ladder] == list(range(len(ladder)))
    assert places(ladder[0]) == ("resident", "full")
    assert places(ladder[-1]) == ("streamed", "fp8")
    assert ladder[-1].vae_tiling
    assert [places(plan(given, rung=rung)) for rung in range(len(ladder))] == [places(one) for one in ladder]


def test_a_step_down_never_takes_more_of_the_host_than_there_is() -> None:
    given = facts(79, 32)
    assert ("streamed", "full") not in [places(one) for one in everything_below(plan(given), given)]


def test_below_the_last_step_the_card_is_too_small() -> None:
    given = facts(7.2, 24)
    last = everything_below(plan(given), given)[-1].rung
    with pytest.raises(TaskError, match="480p") as caught:
        plan(given, rung=last + 1)
    assert caught.value.code == "gpu_oom"


def test_too_little_host_memory_is_said_with_numbers() -> None:
    with pytest.raises(TaskError, match=r"20\.0 GiB must be free, and 12\.0 GiB are") as caught:
        plan(facts(7.2, 12))
    assert caught.value.code == "host_oom"


def test_little_host_memory_does_not_matter_when_the_card_holds_all() -> None:
    assert places(plan(facts(31, 8))) == ("resident", "fp8")


def test_without_a_card_everything_stays_on_the_host() -> None:
    given = facts(None, 64)
    chosen = plan(given)
    assert places(chosen) == ("cpu", "full")
    assert chosen.vram_bytes == 0
    assert step_down(chosen, given) is None
    assert "no GPU" in chosen.sentence()


def test_tiles_cost_the_same_whatever_the_picture() -> None:
    def decoding(side: int, *, tiling: bool) -> int:
        given = replace(facts(200, 64, side), tokens=0)  # so that decoding is the larger phase
        ladder = everything_below(plan(given), given)
        return next(
            one.vram_bytes
            for one in ladder
            if one.vae_tiling == tiling and not one.encoders_at_home and places(one) == ("resident", "full")
        )

    assert decoding(960, tiling=False) - decoding(640, tiling=False) > 6 * GIB
    assert decoding(960, tiling=True) - decoding(640, tiling=True) < 2 * GIB
    assert VAE_TILE == 256


def test_the_plan_is_a_sentence_and_a_record() -> None:
    chosen = plan(facts(23, 64))
    assert chosen.sentence().startswith("16-bit weights are streamed to the GPU block by block from 35.2 GiB")
    assert chosen.record()["placement"] == "streamed"
    assert chosen.record()["sentence"] == chosen.sentence()
    assert chosen.record()["expected_vram_bytes"] == chosen.vram_bytes
