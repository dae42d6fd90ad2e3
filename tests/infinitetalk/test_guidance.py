"""Which passes are run, that leaving some out is exact, and projected guidance against the official numbers."""

from __future__ import annotations

import itertools

import pytest
import torch

from tests.infinitetalk.tiny import golden, named_input
from workers.infinitetalk.guidance import Branch, Guidance, ProjectedTerm

SHAPE = (1, 16, 4, 8, 12)
COND, DROP_TEXT, DROP_AUDIO, NULL = Branch


def _velocities() -> dict[Branch, torch.Tensor]:
    return {branch: named_input(branch.value, *SHAPE) for branch in Branch}


@pytest.mark.parametrize(
    ("text", "audio", "apg", "passes"),
    [
        (5.0, 4.0, False, (COND, DROP_TEXT, NULL)),
        (1.0, 2.0, False, (COND, DROP_AUDIO)),
        (1.0, 1.0, False, (COND,)),
        (5.0, 1.0, False, (COND, DROP_TEXT)),
        (4.0, 4.0, False, (COND, NULL)),
        (5.0, 4.0, True, (COND, DROP_TEXT, NULL)),
        (4.0, 4.0, True, (COND, DROP_TEXT, NULL)),
        (5.0, 1.0, True, (COND, DROP_TEXT)),
        (1.0, 2.0, True, (COND, DROP_AUDIO)),
        (1.0, 1.0, True, (COND,)),
    ],
)
def test_passes_of_a_step(text: float, audio: float, apg: bool, passes: tuple[Branch, ...]) -> None:
    assert Guidance(text, audio, apg).branches() == passes


@pytest.mark.parametrize(("text", "audio"), list(itertools.product((1.0, 2.0, 4.0, 5.0), (1.0, 2.0, 4.0))))
def test_leaving_passes_out_is_exact(text: float, audio: float) -> None:
    guidance, v = Guidance(text, audio), _velocities()
    if text == 1.0:
        full = v[DROP_AUDIO] + audio * (v[COND] - v[DROP_AUDIO])
    else:
        full = v[NULL] + text * (v[COND] - v[DROP_TEXT]) + audio * (v[DROP_TEXT] - v[NULL])
    found = guidance.window()({branch: v[branch] for branch in guidance.branches()})
    assert (found - full).abs().max() <= 1e-5


@pytest.mark.parametrize(("text", "audio"), [(5.0, 1.0), (1.0, 1.0), (1.0, 2.0), (5.0, 4.0)])
def test_projected_guidance_with_passes_left_out_is_exact(text: float, audio: float) -> None:
    guidance = Guidance(text, audio, apg=True)
    combine, first, second = guidance.window(), ProjectedTerm(), ProjectedTerm()
    for step in range(2):
        v = {branch: named_input(f"{branch.value}/{step}", *SHAPE) for branch in Branch}
        cond = v[COND]
        if text == 1.0:
            full = cond + (audio - 1) * second(cond - v[DROP_AUDIO], cond)
        else:
            full = cond + (text - 1) * first(cond - v[DROP_TEXT], cond)
            full = full + (audio - 1) * second(v[DROP_TEXT] - v[NULL], cond)
        found = combine({branch: v[branch] for branch in guidance.branches()})
        assert (found - full).abs().max() <= 1e-5


def test_what_each_pass_is_given() -> None:
    given = {branch: (branch.has_text, branch.has_audio) for branch in Branch}
    assert given == {
        COND: (True, True),
        DROP_TEXT: (False, True),
        DROP_AUDIO: (True, False),
        NULL: (False, False),
    }


def test_combining_leaves_the_velocities_alone() -> None:
    for apg in (False, True):
        v = _velocities()
        Guidance(5.0, 4.0, apg).window()(v)
        assert all(torch.equal(v[branch], named_input(branch.value, *SHAPE)) for branch in Branch)


def test_projected_term_is_the_official_one() -> None:
    term = ProjectedTerm()
    for step in range(3):
        difference, condition = 3 * named_input(f"d{step}", *SHAPE[1:]), named_input(f"c{step}", *SHAPE[1:])
        assert (term(difference, condition) - golden()["apg"][step]).abs().max() <= 1e-5


def test_projected_term_does_not_see_a_batch_as_one_sample() -> None:
    difference, condition = named_input("d", *SHAPE), named_input("c", *SHAPE)
    alone = ProjectedTerm()(difference, condition)
    together = ProjectedTerm()(torch.cat([difference, 9 * difference]), torch.cat([condition, condition]))
    assert torch.equal(together[:1], alone)


def test_projected_term_of_no_difference_is_nothing() -> None:
    assert torch.equal(ProjectedTerm()(torch.zeros(SHAPE), named_input("c", *SHAPE)), torch.zeros(SHAPE))


def test_a_window_starts_without_the_past_of_the_one_before() -> None:
    guidance, v = Guidance(5.0, 4.0, apg=True), _velocities()
    combine = guidance.window()
    first = combine(v)
    assert not torch.equal(combine(v), first)
    assert torch.equal(guidance.window()(v), first)
