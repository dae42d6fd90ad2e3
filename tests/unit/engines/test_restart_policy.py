"""Backoff and circuit breaker on a clock that moves by hand."""

from __future__ import annotations

import pytest

from backend.engines.restart_policy import RestartPolicy
from backend.utils.clock import ManualClock


def policy_on(clock: ManualClock, spread: float = 0.5) -> RestartPolicy:
    return RestartPolicy(clock, spread=lambda: spread)


def test_the_first_start_does_not_wait() -> None:
    assert policy_on(ManualClock()).wait_s() == 0.0


def test_the_wait_doubles_and_the_fifth_failure_opens_the_circuit_for_five_minutes() -> None:
    clock = ManualClock()
    policy = policy_on(clock)
    waits = []
    for _ in range(4):
        policy.failed()
        waits.append(policy.wait_s())
        assert policy.open_for_s() is None
        clock.advance(policy.wait_s())
        assert policy.wait_s() == 0.0
    assert waits == [1.0, 2.0, 4.0, 8.0]
    policy.failed()
    assert policy.open_for_s() == 300.0
    clock.advance(299.0)
    assert policy.open_for_s() == pytest.approx(1.0)
    clock.advance(1.0)
    assert policy.open_for_s() is None
    assert policy.wait_s() == 0.0


def test_the_try_after_the_rest_opens_the_circuit_again_when_it_fails_and_closes_it_when_it_succeeds() -> (
    None
):
    clock = ManualClock()
    policy = policy_on(clock)
    for _ in range(5):
        policy.failed()
    clock.advance(300.0)
    policy.failed()
    assert policy.open_for_s() == 300.0
    clock.advance(300.0)
    policy.succeeded()
    assert policy.failures_in_a_row == 0
    policy.failed()
    assert (policy.open_for_s(), policy.wait_s()) == (None, 1.0)


def test_a_success_forgets_the_failures_before_it() -> None:
    policy = policy_on(ManualClock())
    for _ in range(4):
        policy.failed()
    policy.succeeded()
    assert policy.wait_s() == 0.0
    policy.failed()
    assert policy.wait_s() == 1.0


def test_thirty_seconds_of_being_ready_forget_the_failures_before_them() -> None:
    clock = ManualClock()
    policy = policy_on(clock)
    for _ in range(4):
        policy.failed(ready_for_s=29.0)
    policy.failed(ready_for_s=30.0)
    assert policy.failures_in_a_row == 1
    assert policy.open_for_s() is None


def test_the_wait_never_exceeds_a_minute_and_a_fifth_and_is_spread() -> None:
    clock = ManualClock()
    assert [_first_wait(clock, spread) for spread in (0.0, 0.5, 1.0)] == pytest.approx([0.8, 1.0, 1.2])


def _first_wait(clock: ManualClock, spread: float) -> float:
    policy = policy_on(clock, spread)
    policy.failed()
    return policy.wait_s()


def test_a_failure_that_cannot_go_away_opens_the_circuit_at_once() -> None:
    policy = policy_on(ManualClock())
    policy.failed(open_now=True)
    assert policy.open_for_s() == 300.0


def test_whoever_is_forgiven_may_start_at_once_and_begins_to_count_anew() -> None:
    policy = policy_on(ManualClock())
    for _ in range(5):
        policy.failed()
    assert policy.open_for_s() is not None
    policy.forgive()
    assert (policy.open_for_s(), policy.wait_s(), policy.failures_in_a_row) == (None, 0.0, 0)
