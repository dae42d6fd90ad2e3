"""A deadline that begins anew with each step forward, and one that does not."""

from __future__ import annotations

from backend.engines.task_deadline import LONGEST_S, TaskDeadline


def test_it_moves_with_each_step_forward_alone() -> None:
    deadline = TaskDeadline(100.0, 1000.0, moves=True)
    assert deadline.ends_at_s == 1100.0
    deadline.note(0.0, 1010.0)
    deadline.note(None, 1020.0)
    assert deadline.ends_at_s == 1100.0, "nothing was done yet"
    deadline.note(0.001, 1090.0)
    assert deadline.ends_at_s == 1190.0
    deadline.note(0.001, 1180.0)
    deadline.note(0.0005, 1185.0)
    assert deadline.ends_at_s == 1190.0, "as far as before is no step"


def test_it_ends_at_last_whatever_moves() -> None:
    deadline = TaskDeadline(100.0, 0.0, moves=True)
    for hour in range(1, 1000):
        deadline.note(hour / 1000, hour * 3600.0)
    assert deadline.ends_at_s == LONGEST_S


def test_another_one_stays_where_it_is() -> None:
    deadline = TaskDeadline(100.0, 0.0, moves=False)
    deadline.note(0.5, 50.0)
    assert deadline.ends_at_s == 100.0
