"""The one mapping from stored state to public status."""

from __future__ import annotations

import itertools

import pytest

from backend.models.codes import TERMINAL_STATES, JobState, JobStatus
from backend.models.records import public_status, stored_keys

TABLE = {
    (JobState.QUEUED, False, False): JobStatus.QUEUED,
    (JobState.QUEUED, True, False): JobStatus.FALLBACK,
    (JobState.RUNNING, False, False): JobStatus.PROCESSING,
    (JobState.RUNNING, True, False): JobStatus.FALLBACK,
    (JobState.RUNNING, False, True): JobStatus.CANCELLING,
    (JobState.RUNNING, True, True): JobStatus.CANCELLING,
    (JobState.SUCCEEDED, False, False): JobStatus.COMPLETED,
    (JobState.SUCCEEDED, True, False): JobStatus.COMPLETED,
    (JobState.FAILED, False, False): JobStatus.FAILED,
    (JobState.FAILED, True, False): JobStatus.FAILED,
    (JobState.CANCELLED, False, True): JobStatus.CANCELLED,
    (JobState.CANCELLED, True, True): JobStatus.CANCELLED,
}


@pytest.mark.parametrize("stored", TABLE, ids=str)
def test_the_status_is_the_one_of_the_design(stored: tuple[JobState, bool, bool]) -> None:
    state, fell_back, cancel = stored
    assert public_status(state, fell_back=fell_back, cancel_requested=cancel) is TABLE[stored]


def test_the_keys_of_all_statuses_are_every_combination_once() -> None:
    keys = [key for status in JobStatus for key in stored_keys([status])]
    assert len(keys) == len(set(keys)) == len(list(itertools.product(JobState, range(2), range(2))))


def test_terminal_states_give_terminal_statuses() -> None:
    ends = {public_status(state, fell_back=False, cancel_requested=False) for state in TERMINAL_STATES}
    assert ends == {JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED}
