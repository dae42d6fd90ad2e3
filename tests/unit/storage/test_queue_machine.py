"""The queue driven at random: whatever order of verbs, the store agrees with a model of ten lines a job."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from backend.models.codes import STAGE_ORDER, ErrorCode, JobState, StageName
from backend.models.errors import RequestError, StaleAttempt
from backend.models.library_records import JobChange
from backend.models.records import TERMINAL_EVENTS, EventType, Fence
from backend.storage.job_lifecycle import MAX_LOSSES
from backend.storage.store import Store
from backend.utils.clock import ManualClock
from tests.unit.storage.kit import LEASE_MS, fall_back, new_file, new_job, open_test_store

T = TypeVar("T")
MAX_QUEUED = 6
OWNERS = st.sampled_from(["", "ann", "bob"])


@dataclass
class Model:
    """What must be true of one job."""

    job_id: str
    owner: str
    priority: int
    state: JobState = JobState.QUEUED
    attempt: int = 0
    losses: int = 0
    percent: float = 0.0
    cancel: bool = False
    deleted: bool = False
    run_after: int = 0
    served: int = 0
    done: set[StageName] = field(default_factory=set)
    running_stage: StageName | None = None
    fence: Fence | None = None
    stale: list[Fence] = field(default_factory=list)

    @property
    def is_terminal(self) -> bool:
        return self.state in {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED}

    def stop(self, state: JobState) -> None:
        assert self.fence is not None
        self.stale.append(self.fence)
        self.fence = None
        self.running_stage = None
        self.state = JobState.CANCELLED if self.cancel else state


class QueueMachine(RuleBasedStateMachine):
    """Rules are the store's verbs; each is mirrored in the model."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = Path(tempfile.mkdtemp(prefix="queue-machine-"))
        self.clock = ManualClock()
        self.jobs: list[Model] = []
        self.boot = 0
        self.claims = 0
        self.paused = False
        self.files = 0
        self.keys: dict[tuple[str, str], str] = {}
        self.store: Store | None = None

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    @initialize()
    def open(self) -> None:
        self.store = self.do(open_test_store(self.folder, self.clock, max_queued=MAX_QUEUED))
        self.verbs = self.store.jobs

    def teardown(self) -> None:
        if self.store is not None:
            self.do(self.store.close())
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()
        shutil.rmtree(self.folder)

    def of_state(self, *states: JobState) -> list[Model]:
        return [job for job in self.jobs if job.state in states]

    def running(self, pick: int) -> Model:
        candidates = self.of_state(JobState.RUNNING)
        return candidates[pick % len(candidates)]

    def is_any_running(self) -> bool:
        return bool(self.of_state(JobState.RUNNING))

    def file(self) -> Coroutine[Any, Any, Any]:
        self.files += 1
        assert self.store is not None
        return new_file(self.store, f"outputs/{self.files}.bin")

    # -- rules -------------------------------------------------------------------------------------
    @rule(owner=OWNERS, priority=st.integers(-1, 1), key=st.sampled_from([None, None, "k1", "k2"]))
    def enqueue(self, owner: str, priority: int, key: str | None) -> None:
        new = new_job(owner=owner, priority=priority, idempotency_key=f"{key}-{owner}" if key else None)
        try:
            job, replayed = self.do(self.verbs.enqueue(new))
        except RequestError as error:
            assert error.code is ErrorCode.QUEUE_FULL
            # At least: jobs that were put back into the queue are not counted out.
            assert len(self.of_state(JobState.QUEUED)) >= MAX_QUEUED
            return
        if replayed:
            assert job.job_id in {model.job_id for model in self.jobs}
        else:
            self.jobs.append(Model(job.job_id, owner, priority))
        if key:
            self.keys[owner, f"{key}-{owner}"] = job.job_id

    @precondition(lambda self: self.keys)
    @rule(pick=st.integers(0, 30))
    def send_a_key_with_another_body(self, pick: int) -> None:
        owner, key = sorted(self.keys)[pick % len(self.keys)]
        if any(job.deleted for job in self.jobs if job.job_id == self.keys[owner, key]):
            return  # who deletes a job frees its key
        with pytest.raises(RequestError) as caught:
            self.do(self.verbs.enqueue(new_job(owner=owner, idempotency_key=key, request_sha256="f" * 64)))
        assert caught.value.code is ErrorCode.IDEMPOTENCY_CONFLICT

    @precondition(lambda self: self.jobs)
    @rule(pick=st.integers(0, 30), priority=st.integers(-1, 1))
    def set_priority(self, pick: int, priority: int) -> None:
        job = self.jobs[pick % len(self.jobs)]
        try:
            changed = self.do(self.verbs.change(job.job_id, JobChange(priority=priority)))
        except RequestError as error:
            assert error.code is (ErrorCode.GONE if job.deleted else ErrorCode.VALIDATION_FAILED)
            assert job.deleted or job.is_terminal
            return
        assert changed.priority == priority
        job.priority = priority

    @rule(slot=st.integers(0, 1))
    def claim(self, slot: int) -> None:
        owner = f"boot-{self.boot}/{slot}"
        claimed = self.do(self.verbs.claim(owner, lease_ms=LEASE_MS))
        ready = [job for job in self.of_state(JobState.QUEUED) if job.run_after <= self.clock.now_ms()]
        if self.paused or not ready:
            assert claimed is None
            return
        served = {
            name: max(j.served for j in self.jobs if j.owner == name) for name in {j.owner for j in ready}
        }
        expected = min(ready, key=lambda job: (-job.priority, served[job.owner], self.jobs.index(job)))
        assert claimed is not None
        assert claimed.job.job_id == expected.job_id
        self.claims += 1
        expected.state, expected.attempt, expected.percent = JobState.RUNNING, expected.attempt + 1, 0.0
        expected.served, expected.fence = self.claims, claimed.fence
        assert claimed.fence == Fence(expected.job_id, expected.attempt, owner)

    @precondition(is_any_running)
    @rule(pick=st.integers(0, 5))
    def begin_next_stage(self, pick: int) -> None:
        job = self.running(pick)
        if job.running_stage is None and len(job.done) < len(STAGE_ORDER):
            stage = next(name for name in STAGE_ORDER if name not in job.done)
            self.do(self.verbs.begin_stage(job.fence, stage))
            self.do(self.verbs.begin_attempt(job.fence, stage, "draft"))
            job.running_stage = stage

    @precondition(is_any_running)
    @rule(pick=st.integers(0, 5))
    def complete_stage_or_succeed(self, pick: int) -> None:
        job = self.running(pick)
        stage = job.running_stage
        if stage is None:
            return
        file = self.do(self.file())
        if stage is StageName.FINISH:
            ended = self.do(self.verbs.succeed(job.fence, result=file, draft=True))
            if not job.cancel:
                job.done.add(stage)
                job.percent = 100.0
            job.stop(JobState.SUCCEEDED)
            assert ended.state is job.state
        else:
            self.do(self.verbs.complete_stage(job.fence, stage, artifacts=[(f"{stage}.bin", file)]))
            job.done.add(stage)
            job.running_stage = None

    @precondition(is_any_running)
    @rule(pick=st.integers(0, 5), percent=st.floats(-10, 200))
    def report(self, pick: int, percent: float) -> None:
        job = self.running(pick)
        self.do(self.verbs.report_progress(job.fence, percent))
        job.percent = max(job.percent, min(percent, 99.0))

    @precondition(is_any_running)
    @rule(pick=st.integers(0, 5), delay_ms=st.sampled_from([None, 0, 3_000]), redo=st.booleans())
    def hop(self, pick: int, delay_ms: int | None, redo: bool) -> None:
        job = self.running(pick)
        stages = (StageName.VIDEO,) if redo else ()
        if delay_ms is None:
            assert self.store is not None
            claimed = type("Claimed", (), {"fence": job.fence})
            self.do(fall_back(self.store, claimed, redo=stages))  # type: ignore[arg-type]
            run_after = 0
        else:
            run_after = self.clock.now_ms() + delay_ms
            self.do(
                self.verbs.retry_later(
                    job.fence,
                    run_after_ms=run_after,
                    message="m",
                    error_code=ErrorCode.WORKER_CRASHED,
                    error_message="e",
                    redo=stages,
                )
            )
        if not job.cancel:
            job.run_after = run_after
            job.done -= set(stages)
        job.stop(JobState.QUEUED)

    @precondition(is_any_running)
    @rule(pick=st.integers(0, 5))
    def fail(self, pick: int) -> None:
        job = self.running(pick)
        self.do(self.verbs.fail(job.fence, ErrorCode.NO_OUTPUT, "Nothing came out."))
        job.stop(JobState.FAILED)

    @precondition(is_any_running)
    @rule(pick=st.integers(0, 5))
    def release(self, pick: int) -> None:
        job = self.running(pick)
        self.do(self.verbs.release(job.fence))
        job.run_after = 0
        job.stop(JobState.QUEUED)

    @precondition(is_any_running)
    @rule(pick=st.integers(0, 5))
    def finish_cancelled(self, pick: int) -> None:
        job = self.running(pick)
        if job.cancel:
            self.do(self.verbs.finish_cancelled(job.fence))
            job.stop(JobState.CANCELLED)

    @precondition(lambda self: self.jobs)
    @rule(pick=st.integers(0, 30))
    def request_cancel(self, pick: int) -> None:
        job = self.jobs[pick % len(self.jobs)]
        self.do(self.verbs.request_cancel(job.job_id))
        if job.state is JobState.QUEUED:
            job.state, job.cancel = JobState.CANCELLED, True
        elif job.state is JobState.RUNNING:
            job.cancel = True

    @rule()
    def die_and_start_again(self) -> None:
        self.boot += 1
        report = self.do(self.verbs.reap_lost(f"boot-{self.boot}"))
        for job in self.of_state(JobState.RUNNING):
            if job.cancel:
                job.stop(JobState.CANCELLED)
                assert job.job_id in report.cancelled
                continue
            job.losses += 1
            lost_too_often = job.losses > MAX_LOSSES
            job.run_after = 0
            job.stop(JobState.FAILED if lost_too_often else JobState.QUEUED)
            assert job.job_id in (report.failed if lost_too_often else report.requeued)
        assert self.do(self.verbs.release_all(f"boot-{self.boot}")) == ()

    @precondition(lambda self: self.jobs)
    @rule(pick=st.integers(0, 30))
    def delete(self, pick: int) -> None:
        job = self.jobs[pick % len(self.jobs)]
        try:
            self.do(self.verbs.delete(job.job_id))
        except RequestError as error:
            assert error.code is ErrorCode.NOT_READY
            assert job.state is JobState.RUNNING
            return
        if job.state is JobState.QUEUED:
            job.state, job.cancel = JobState.CANCELLED, True
        job.deleted = True

    @precondition(lambda self: any(job.is_terminal for job in self.jobs))
    @rule(pick=st.integers(0, 30), stage=st.sampled_from([None, *STAGE_ORDER]))
    def retry(self, pick: int, stage: StageName | None) -> None:
        ended = [job for job in self.jobs if job.is_terminal]
        job = ended[pick % len(ended)]
        try:
            fresh, _ = self.do(self.verbs.new_retry(job.job_id, from_stage=stage))
        except RequestError as error:
            full = len(self.of_state(JobState.QUEUED)) >= MAX_QUEUED
            assert error.code is (ErrorCode.GONE if job.deleted else ErrorCode.QUEUE_FULL)
            assert job.deleted or full
            return
        model = Model(fresh.job_id, job.owner, job.priority)
        if stage is not None or job.state is not JobState.SUCCEEDED:
            for name in STAGE_ORDER:
                if name is stage or name not in job.done:
                    break
                model.done.add(name)
        self.jobs.append(model)

    @precondition(lambda self: any(job.stale for job in self.jobs))
    @rule(pick=st.integers(0, 30), which=st.integers(0, 3))
    def a_stale_attempt_wakes(self, pick: int, which: int) -> None:
        stale = [fence for job in self.jobs for fence in job.stale]
        fence = stale[pick % len(stale)]
        verb = (
            self.verbs.report_progress(fence, 99),
            self.verbs.fail(fence, ErrorCode.TIMEOUT, "late"),
            self.verbs.release(fence),
            self.verbs.complete_stage(fence, StageName.SCRIPT),
        )
        for number, call in enumerate(verb):
            if number != which:
                call.close()
        with pytest.raises(StaleAttempt):
            self.do(verb[which])

    @rule()
    def pause_or_resume(self) -> None:
        self.paused = not self.paused
        state = self.do(self.verbs.pause("reason") if self.paused else self.verbs.resume())
        assert state.paused is self.paused

    @rule(seconds=st.integers(1, 4))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(seconds)
        due = [job.run_after for job in self.of_state(JobState.QUEUED) if job.run_after > self.clock.now_ms()]
        assert self.do(self.verbs.next_wake_ms()) == (min(due) if due else None)

    # -- what always holds -------------------------------------------------------------------------
    @invariant()
    def the_store_agrees_with_the_model(self) -> None:
        if self.store is None:
            return
        for model in self.jobs:
            view = self.do(self.verbs.get_view(model.job_id))
            job = view.job
            assert (job.state, job.attempt, job.lost_attempts) == (model.state, model.attempt, model.losses)
            assert (job.cancel_requested_at is not None) is model.cancel
            assert job.progress == pytest.approx(model.percent)
            assert {stage.name for stage in view.stages if stage.state.value == "completed"} == model.done
            running = [stage.name for stage in view.stages if stage.state.value == "running"]
            assert running == ([model.running_stage] if model.running_stage else [])
            open_hops = [hop for hop in view.attempts if hop.outcome is None]
            assert len(open_hops) == len(running)

    @invariant()
    def events_tell_one_story(self) -> None:
        if self.store is None:
            return
        for model in self.jobs:
            events = self.do(self.verbs.events_since(0, job_id=model.job_id))
            ends = [event for event in events if event.type in TERMINAL_EVENTS]
            assert len(ends) == int(model.is_terminal)
            if ends:
                after = [event.type for event in events if event.event_id > ends[0].event_id]
                assert after == ([EventType.DELETED] if model.deleted else [])
            progress: dict[int, int] = {}
            for event in events:
                attempt, percent = event.data["attempt"], event.data["progress"]
                assert percent >= progress.get(attempt, 0), "progress never goes back within an attempt"
                progress[attempt] = percent


QueueMachine.TestCase.settings = settings(
    max_examples=20,
    stateful_step_count=40,
    deadline=None,
    # The database is on disk: slow for Hypothesis, and meant.
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestQueueMachine = QueueMachine.TestCase
