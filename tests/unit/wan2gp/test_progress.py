"""Upstream's events as one number that never goes back."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from workers.wan2gp.progress import Overall, Step, step_of_progress, step_of_status


def heard(status: str, step: int | None = None, steps: int | None = None) -> Step:
    return step_of_progress(SimpleNamespace(status=status, current_step=step, total_steps=steps))


@pytest.mark.parametrize(
    ("status", "step", "steps", "expected"),
    [
        ("Encoding Prompt", None, None, Step("encoding")),
        ("Denoising | 0.0s", 0, 30, Step("denoising", 1, 1, 0, 30)),
        ("Sliding Window 2/5 - Denoising | 12s / 40s", 12, 30, Step("denoising", 2, 5, 12, 30)),
        ("Sliding Window 3/3 - VAE Decoding | 1s", 30, 30, Step("decoding", 3, 3, 30, 30)),
        ("Generating Audio", None, None, Step("working")),
        ("Denoising | 0.0s", 3, 0, Step("denoising")),
        ("Sliding Window 9/2 - Denoising", 1, 2, Step("denoising", 2, 2, 1, 2)),
        ("Sliding Window 0/0 - Denoising", 1, 2, Step("denoising", 1, 1, 1, 2)),
        ("", None, None, Step("working")),
    ],
)
def test_a_status_and_two_counters_tell_where_upstream_is(
    status: str, step: int | None, steps: int | None, expected: Step
) -> None:
    assert heard(status, step, steps) == expected


def test_loading_is_heard_from_the_status_and_other_words_are_not_progress() -> None:
    assert step_of_status("Loading model Multitalk 480p 14B...") == Step("loading")
    assert step_of_status("Model loaded") is None


def test_the_share_grows_over_the_windows_though_upstream_starts_anew_in_each() -> None:
    shares = [
        heard(f"Sliding Window {window}/3 - {word}", step, 10).share
        for window in (1, 2, 3)
        for word, step in (
            ("Encoding Prompt", None),
            ("Denoising", 0),
            ("Denoising", 10),
            ("VAE Decoding", 10),
        )
    ]
    assert shares == sorted(shares)
    assert shares[0] == 0.0
    assert 0.9 < shares[-1] < 1.0


def test_the_whole_is_weighed_by_the_work_of_the_parts_and_never_goes_back() -> None:
    overall = Overall([30, 90])
    overall.begin(0)
    half = overall.at(heard("Denoising", 15, 30))
    assert overall.at(heard("Denoising", 1, 30)) == half
    overall.finish(0)
    assert overall.fraction == pytest.approx(0.25 * 0.97)
    overall.begin(1)
    assert overall.at(Step("loading")) == pytest.approx(0.25 * 0.97)
    overall.finish(1)
    assert overall.fraction == pytest.approx(0.97)


def test_the_message_names_only_what_there_is_more_than_one_of() -> None:
    overall = Overall([1, 1])
    overall.begin(1)
    assert (
        overall.message(heard("Sliding Window 1/3 - Denoising", 12, 30))
        == "Part 2 of 2 · window 1 of 3 · step 12 of 30"
    )
    assert Overall([1]).message(Step("loading")) == "Loading the model"
    assert Overall([1]).message(heard("Denoising", 2, 4)) == "Step 2 of 4"


def test_the_time_left_comes_from_the_speed_of_this_attempt() -> None:
    now = 0.0
    overall = Overall([10, 10, 10, 10], clock=lambda: now)
    overall.begin(0)
    overall.finish(0, reused=True)  # an earlier attempt's work says nothing about today's speed
    overall.begin(1)
    assert overall.eta_s() is None
    overall.at(heard("Denoising", 0, 10))
    assert overall.eta_s() is None
    now = 100.0
    overall.finish(1)
    assert overall.eta_s() == pytest.approx(200, rel=0.1)
