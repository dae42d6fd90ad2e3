"""TeaCache and FirstBlockCache around the tiny transformer: exact when off, apart per pass and per window."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

from tests.infinitetalk.tiny import tiny_inputs, tiny_model
from workers.infinitetalk.cache import BlockCache, FirstBlockCache, NoCache, TeaCache
from workers.infinitetalk.guidance import Branch
from workers.infinitetalk.transformer import InfiniteTalkTransformer

COND, DROP_TEXT, DROP_AUDIO, NULL = Branch
# Every change counts as small.
ALWAYS = 1e9


@pytest.fixture(scope="module")
def model() -> InfiniteTalkTransformer:
    return tiny_model()


def _run(
    model: InfiniteTalkTransformer, cache: BlockCache, branch: Branch, step: int, timestep: float = 637.5
) -> torch.Tensor:
    inputs = tiny_inputs(timestep=timestep, null=not branch.has_audio)
    if not branch.has_text:
        inputs["encoder_hidden_states"] = torch.zeros_like(inputs["encoder_hidden_states"])
    with torch.no_grad(), cache.branch(branch, step) as around_blocks:
        return model(**inputs, around_blocks=around_blocks)


@pytest.mark.parametrize("cache", [NoCache(), TeaCache(threshold=0.0)])
def test_a_cache_that_is_off_is_exact(model: InfiniteTalkTransformer, cache: BlockCache) -> None:
    with torch.no_grad():
        plain = model(**tiny_inputs())
    cache.start_window()
    for step in range(6):
        assert torch.equal(_run(model, cache, COND, step), plain)


def test_a_running_teacache_is_exact_where_it_runs_the_blocks(model: InfiniteTalkTransformer) -> None:
    cache = TeaCache(threshold=ALWAYS, warm_steps=2)
    cache.start_window()
    for step, timestep in enumerate((1000.0, 900.0)):
        assert torch.equal(
            _run(model, cache, COND, step, timestep), _run(model, NoCache(), COND, step, timestep)
        )
    assert (cache.computed, cache.reused) == (2, 0)


def test_a_reused_pass_adds_the_same_residual(model: InfiniteTalkTransformer) -> None:
    """Same inputs again: the residual of the first pass leads to the same velocity, without the blocks."""
    cache = TeaCache(threshold=ALWAYS, warm_steps=1)
    cache.start_window()
    first = _run(model, cache, COND, 0)
    again = _run(model, cache, COND, 1)
    assert (cache.computed, cache.reused) == (1, 1)
    assert (again - first).abs().max() <= 1e-5


@pytest.mark.parametrize(
    "branches", [(COND,), (COND, DROP_AUDIO), (COND, DROP_TEXT, NULL)], ids=["one", "two", "three"]
)
def test_every_pass_has_a_memory_of_its_own(
    model: InfiniteTalkTransformer, branches: tuple[Branch, ...]
) -> None:
    cache = TeaCache(threshold=ALWAYS, warm_steps=1)
    cache.start_window()
    first = {branch: _run(model, cache, branch, 0) for branch in branches}
    again = {branch: _run(model, cache, branch, 1) for branch in branches}
    assert (cache.computed, cache.reused) == (len(branches), len(branches))
    for branch in branches:
        assert (again[branch] - first[branch]).abs().max() <= 1e-5
    for one, other in itertools.pairwise(branches):
        assert (first[one] - first[other]).abs().max() > 0.01


def test_nothing_survives_a_window(model: InfiniteTalkTransformer) -> None:
    cache = TeaCache(threshold=ALWAYS, warm_steps=1)
    for _ in range(2):
        cache.start_window()
        for step in range(3):
            _run(model, cache, COND, step)
    assert (cache.computed, cache.reused) == (2, 4)
    # Even a window that starts in the middle has nothing to reuse.
    cache.start_window()
    assert torch.equal(_run(model, cache, COND, 7), _run(model, NoCache(), COND, 7))


def test_small_changes_add_up_until_the_threshold(model: InfiniteTalkTransformer) -> None:
    """The counting by hand: the fitted polynomial of each change, summed since the last full pass."""
    threshold, warm = 0.4, 1
    times = [1000.0 - 0.03 * step for step in range(6)]
    modulations = []

    @contextmanager
    def recording() -> Iterator[None]:
        def hook(_module: object, _inputs: object, output: tuple[torch.Tensor, ...]) -> None:
            modulations.append(output[1])

        handle = model.condition_embedder.register_forward_hook(hook)
        try:
            yield
        finally:
            handle.remove()

    cache = TeaCache(480, threshold, warm_steps=warm)
    cache.start_window()
    found = []
    with recording():
        for step, timestep in enumerate(times):
            before = cache.computed
            _run(model, cache, COND, step, timestep)
            found.append(cache.computed > before)

    fit = (2.57151496e05, -3.54229917e04, 1.40286849e03, -1.35890334e01, 1.32517977e-01)
    expected, total = [True], 0.0
    for before, after in itertools.pairwise(modulations):
        change = float((after - before).abs().mean() / before.abs().mean())
        total += sum(factor * change ** (4 - power) for power, factor in enumerate(fit))
        expected.append(total >= threshold)
        if expected[-1]:
            total = 0.0
    assert found == expected
    assert True in found[1:]
    assert False in found


def test_first_block_cache_keeps_the_passes_apart_and_forgets_with_the_window() -> None:
    model = tiny_model()
    plain = {branch: _run(model, NoCache(), branch, 0) for branch in (COND, DROP_TEXT, NULL)}
    cache = FirstBlockCache(model, threshold=ALWAYS)
    ran = []
    model.blocks[1].ffn.register_forward_hook(lambda *_: ran.append(1))
    for _ in range(2):
        ran.clear()
        cache.start_window()
        for step in range(3):
            for branch, expected in plain.items():
                assert (_run(model, cache, branch, step) - expected).abs().max() <= 1e-5
        # Once per pass; the two later steps of the window took the rest from memory.
        assert len(ran) == len(plain)
    cache.close()
    assert torch.equal(_run(model, NoCache(), COND, 0), plain[COND])
