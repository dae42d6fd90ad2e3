"""Dense motion: splines pass their points, and what is warped can be traced back."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.draft.arrays import F32, F64
from workers.draft.warp import Grid, ThinPlate, combine, enlarge, invert, part_of

GRID = Grid(x0=10, y0=20, step=4, columns=40, rows=30)


def bump(dx: float, dy: float, width: float = 25.0) -> F32:
    """A smooth push of the grid's middle (rows, columns, 2), pixels."""
    nodes = GRID.nodes()
    weight = np.exp(-(((nodes - nodes.mean(axis=0)) / width) ** 2).sum(axis=1))
    field = weight[:, None] * np.array([dx, dy])
    return np.asarray(field.reshape(GRID.rows, GRID.columns, 2), np.float32)


def test_a_spline_passes_through_its_points() -> None:
    rng = np.random.default_rng(1)
    points: F64 = rng.uniform(0, 100, (40, 2))
    values: F64 = rng.normal(size=(40, 3))
    assert np.allclose(ThinPlate(points, 1e-9).evaluate(values, points), values, atol=0.05)


def test_a_spline_continues_an_affine_map_exactly() -> None:
    rng = np.random.default_rng(2)
    points: F64 = rng.uniform(0, 100, (30, 2))
    matrix = np.array([[0.1, -0.2], [0.3, 0.05]])
    query: F64 = rng.uniform(-50, 150, (20, 2))
    assert np.allclose(ThinPlate(points, 1e-3).evaluate(points @ matrix, query), query @ matrix, atol=0.02)


@settings(max_examples=40, deadline=None)
@given(st.floats(-9, 9), st.floats(-9, 9))
def test_going_back_and_forth_arrives_where_it_began(dx: float, dy: float) -> None:
    forward = bump(dx, dy)
    back = invert(forward, GRID.step)
    nodes = GRID.nodes()
    origin = nodes + back.reshape(-1, 2)
    arrived = origin + GRID.at(forward[None], origin)[0]
    inner = (np.abs(nodes - nodes.mean(axis=0)) < 45).all(axis=1)
    assert np.abs(arrived - nodes)[inner].max() < 0.5


def test_no_motion_leaves_every_pixel_where_it_is() -> None:
    assert not invert(np.zeros((30, 40, 2), np.float32), 4).any()


def test_a_motion_that_folds_gives_a_smooth_answer() -> None:
    back = invert(bump(0, 60, width=12.0), GRID.step)
    jumps = np.abs(np.diff(back, axis=0)).max()
    assert np.isfinite(back).all()
    assert jumps < 6 * GRID.step


def test_a_part_of_the_motion_agrees_with_the_whole() -> None:
    back = invert(bump(6, -4), GRID.step)
    whole = enlarge(back, GRID)
    assert whole.shape == (GRID.height, GRID.width, 2)
    part = part_of(back, GRID, GRID.x0 + 30, GRID.y0 + 20, 50, 40)
    assert np.abs(part - whole[20:60, 30:80]).max() < 0.02


def test_fields_add_up() -> None:
    fields = np.stack([bump(1, 0), bump(0, 1), bump(1, 1)])
    mixed = combine(np.array([2.0, 0.0, -1.0], np.float32), fields)
    assert np.allclose(mixed, 2 * fields[0] - fields[2], atol=1e-5)
