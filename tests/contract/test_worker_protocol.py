"""docs/protocol.md, the service's tables and the worker's tables say the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from backend.engines import protocol
from backend.engines.supervisor import WorkerLimits, WorkerSpec
from backend.models.codes import ErrorCode
from workers import messages

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")


def table_of(heading: str) -> dict[str, tuple[str, ...]]:
    """Type -> fields of the table below a heading of the page."""
    section = PAGE.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| `(\w+)` \| ([^|]*) \|", section, re.MULTILINE)
    return {kind: tuple(re.findall(r"`(\w+)`", fields)) for kind, fields in rows}


def test_the_page_lists_the_messages_to_the_worker_as_the_service_sends_them() -> None:
    assert table_of("From the service to the worker") == protocol.PARENT_TO_WORKER


def test_the_page_lists_the_messages_of_the_worker_as_the_service_reads_them() -> None:
    assert table_of("From the worker to the service") == protocol.WORKER_TO_PARENT


def test_both_sides_have_the_same_tables() -> None:
    assert messages.PARENT_TO_WORKER == protocol.PARENT_TO_WORKER
    assert messages.WORKER_TO_PARENT == protocol.WORKER_TO_PARENT
    assert set(messages.WORKER_STATES) == protocol.WORKER_STATES


@pytest.mark.parametrize(
    "name",
    [
        "PROTOCOL_VERSION",
        "MAX_LINE_BYTES",
        "DRAIN_PREFIX",
        "CANCELLED",
        "EXIT_PROTOCOL",
        "EXIT_START_FAILED",
        "EXIT_PARENT_GONE",
    ],
)
def test_both_sides_have_the_same_constants(name: str) -> None:
    assert getattr(messages, name) == getattr(protocol, name)


def test_the_page_names_the_states_the_exit_statuses_and_the_version() -> None:
    assert f"version {protocol.PROTOCOL_VERSION}\n" in PAGE
    listed = PAGE.split("| one of ", 1)[1].split(" |", 1)[0]
    assert set(re.findall(r"`(\w+)`", listed)) == protocol.WORKER_STATES
    exits = PAGE.split("Exit statuses of the host: ", 1)[1].split("\n", 1)[0]
    assert {int(number) for number in re.findall(r"\b\d+\b", exits)} == {
        messages.EXIT_OK,
        protocol.EXIT_PROTOCOL,
        protocol.EXIT_START_FAILED,
        protocol.EXIT_PARENT_GONE,
    }


def test_the_pages_deadlines_are_the_defaults() -> None:
    limits = WorkerLimits()
    here = Path("/")
    spec = WorkerSpec(
        name="x", python=here, handler="x", host_script=here, work_dir=here, models_dir=here, cache_dir=here
    )
    section = PAGE.split("## Deadlines\n", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", section, re.MULTILINE)
    said = {what: (when, then) for what, when, then in rows}
    assert said["no `hello`"] == (f"{spec.hello_timeout_s:g} s", "`worker_hung`")
    assert said["no `ready`"] == (f"{spec.start_timeout_s:g} s", "`worker_hung`")
    loading, running = "nothing heard at all while loading", "nothing heard at all while a task runs"
    assert said[loading] == (f"{limits.quiet_loading_s:g} s", "`worker_hung`")
    assert said[running] == (f"{limits.quiet_running_s:g} s", "`worker_hung`")
    ladder = said["cancel, deadline or silence"][0]
    assert re.findall(r"(\d+) s later", ladder) == [
        f"{limits.cancel_grace_s:g}",
        f"{limits.term_grace_s:g}",
    ]
    assert limits.cancel_grace_s + limits.term_grace_s + limits.kill_grace_s <= 30  # final within 30 s
    codes = set(re.findall(r"`(worker_\w+|timeout|engine_unavailable)`", section))
    assert codes <= {code.value for code in ErrorCode}
    assert (
        f"idle for ten minutes is shut down, and one that has done {spec.recycle_after_tasks} tasks" in PAGE
    )
    assert spec.idle_unload_s == 600
