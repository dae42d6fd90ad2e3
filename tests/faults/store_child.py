"""A process that uses the store until it is killed. Run by the fault tests: `python -m ... MODE FOLDER [ARG]`.

Acknowledgements go to stdout, one line each, written only after the store has returned.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from backend.storage.setup import InstanceLock, prepare_directories
from backend.storage.store import Store, open_store
from backend.utils.clock import SystemClock
from tests.unit.storage.kit import LEASE_MS, complete, enqueue, succeed


def say(line: str) -> None:
    """One whole line at once, past every buffer."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def enqueue_for_ever(store: Store) -> None:
    """Eight clients that post as fast as they are answered."""

    async def client() -> None:
        while True:
            say((await enqueue(store)).job_id)

    await asyncio.gather(*(client() for _ in range(8)))


async def enqueue_few(store: Store) -> None:
    """One after the other, each acknowledged before the next."""
    for _ in range(5):
        say((await enqueue(store)).job_id)


async def work_for_ever(store: Store, boot: str) -> None:
    """Reap, then take jobs through all their stages; each completed job is acknowledged."""
    await store.jobs.reap_lost(boot)
    say("ready")
    while True:
        claimed = await store.jobs.claim(f"{boot}/0", lease_ms=LEASE_MS)
        if claimed is None:
            say("idle")
            return
        pending = [stage.name for stage in claimed.view.stages if stage.state.value != "completed"]
        await complete(store, claimed, pending[:-1])
        say((await succeed(store, claimed)).job_id)


async def claim_all(store: Store, boot: str) -> None:
    """Claim until nothing is left; each claim is acknowledged."""
    say("ready")
    sys.stdin.readline()
    while (claimed := await store.jobs.claim(boot, lease_ms=LEASE_MS)) is not None:
        say(claimed.job.job_id)


async def main(mode: str, folder: Path, argument: str) -> None:
    layout = prepare_directories(folder / "data", folder / "logs")
    if mode == "lock":
        InstanceLock(layout.data).acquire()
        say("locked")
        sys.stdin.readline()
        return
    store = await open_store(layout, SystemClock(), max_queued=10**6)
    try:
        if mode == "enqueue":
            await enqueue_for_ever(store)
        elif mode == "enqueue_few":
            await enqueue_few(store)
        elif mode == "work":
            await work_for_ever(store, argument)
        elif mode == "claim":
            await claim_all(store, argument)
    finally:
        await store.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), *(sys.argv[3:] or [""])))
