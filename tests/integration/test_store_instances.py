"""Several processes on one data folder: one may serve, and even without the lock no job is handed out twice."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.faults.test_store_kill import spawn
from tests.unit.storage.kit import enqueue, open_test_store

# Short form of four processes and four hundred jobs.
PROCESSES = 3
JOBS = 90


def test_a_second_instance_is_refused_with_a_sentence_that_names_the_first(tmp_path: Path) -> None:
    first = spawn("lock", tmp_path)
    assert first.stdout is not None
    assert first.stdout.readline() == "locked\n"
    second = subprocess.run(
        [*first.args],
        cwd=Path(__file__).parents[2],
        input="\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    first.communicate("\n", timeout=30)
    assert second.returncode != 0
    assert second.stdout == ""
    assert (
        f"Another instance already uses the data folder {tmp_path / 'data'} (process {first.pid})"
        in second.stderr
    )


async def test_processes_that_race_for_jobs_claim_each_once(tmp_path: Path) -> None:
    store = await open_test_store(tmp_path)
    jobs = {(await enqueue(store, owner="ab"[number % 2])).job_id for number in range(JOBS)}
    await store.close()
    racers = [spawn("claim", tmp_path, f"boot-{number}") for number in range(PROCESSES)]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    claims = [racer.communicate(timeout=100)[0].split() for racer in racers]
    assert [racer.returncode for racer in racers] == [0] * PROCESSES
    together = [job_id for one in claims for job_id in one]
    assert len(together) == JOBS
    assert set(together) == jobs
