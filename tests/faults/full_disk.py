"""The child of test_disk_full: a service whose data and logs lie on a tmpfs that gets full.

Run in a mount namespace of its own: `python -m tests.faults.full_disk FOLDER SCENARIO`. Prints one JSON line.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.faults.scenes import reaches
from tests.support.studio import Studio, job_body, running_studio

DISK_MIB = 24
# What is left when a job meets the full disk: room for rows, none for what the job makes.
LEFT_BYTES = 400_000
# Its speech takes 24 000 samples of 2 bytes each second.
LONG_SCRIPT = "This is said so that the sound of it is larger than the room that is left. " * 6
WAIT_S = 120.0


def fill(folder: Path, left_bytes: int) -> Path:
    """A ballast file that leaves `left_bytes`, or nothing at all."""
    ballast = folder / "ballast"
    state = os.statvfs(folder)
    size = state.f_bavail * state.f_frsize - left_bytes
    with ballast.open("wb") as file:
        try:
            for _ in range(0, size, 4096):
                file.write(bytes(4096))
                file.flush()
        except OSError:
            pass  # full
    return ballast


def integrity(folder: Path) -> str:
    connection = sqlite3.connect(folder / "data" / "sqlite.db")
    try:
        return str(connection.execute("PRAGMA integrity_check").fetchone()[0])
    finally:
        connection.close()


async def full_in_the_speech(folder: Path) -> dict[str, Any]:
    async with running_studio(folder) as studio:
        studio.speech.gate.clear()
        failing = await studio.submit(script_input=LONG_SCRIPT)
        await studio.wait_for(failing, "processing")
        waiting = await studio.submit()
        ballast = fill(folder, LEFT_BYTES)
        studio.speech.gate.set()
        failed = await studio.wait_for(failing)
        queue = (await studio.http.get("/api/queue")).json()
        found = {"failed": failed, "queue": queue, "waiting": await studio.view(waiting)}
        ballast.unlink()
        await studio.http.post("/api/queue/resume")
        found["waited"] = await studio.wait_for(waiting)
        retry = await studio.http.post(f"/api/jobs/{failing}/retry")
        found["retried"] = await studio.wait_for(retry.json()["job_id"])
    return {**found, "integrity": integrity(folder)}


async def full_for_the_database(folder: Path) -> dict[str, Any]:
    async with running_studio(folder) as studio:
        studio.draft.gate.clear()
        acknowledged = [await studio.submit() for _ in range(3)]
        await reaches(studio, acknowledged[0], stage="video")
        ballast = fill(folder, 0)
        refused = await until_refused(studio, acknowledged)
        health = (await studio.http.get("/health")).status_code
        known = [
            job for job in acknowledged if (await studio.http.get(f"/api/jobs/{job}")).status_code == 200
        ]
        # The job at work now reaches its end and can write nothing.
        studio.draft.gate.set()
        await asyncio.sleep(1.0)
        ballast.unlink()
        ended = []
        for job_id in acknowledged:
            while (view := await studio.view(job_id))["status"] not in {"completed", "failed", "cancelled"}:
                if (await studio.http.get("/api/queue")).json()["paused"]:
                    await studio.http.post("/api/queue/resume")
                await asyncio.sleep(0.05)
            if view["status"] == "failed" and view["error"]["code"] == "disk_full":
                retry = await studio.http.post(f"/api/jobs/{job_id}/retry")
                view = await studio.wait_for(retry.json()["job_id"])
            ended.append(view["status"])
    return {
        "refused": refused,
        "health": health,
        "known": known,
        "acknowledged": acknowledged,
        "ended": ended,
        "integrity": integrity(folder),
    }


async def until_refused(studio: Studio, acknowledged: list[str]) -> list[Any]:
    """Submit until the database finds no room: its log may hold room from before."""
    while True:
        answer = await studio.http.post("/api/jobs", json=job_body(script_input=LONG_SCRIPT * 20))
        if answer.status_code != 202:
            return [answer.status_code, answer.json()["code"]]
        acknowledged.append(answer.json()["job_id"])


def main() -> None:
    folder = Path(sys.argv[1])
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", str(folder)]
    subprocess.run(mount, check=True, timeout=30)
    scenarios = {"speech": full_in_the_speech, "database": full_for_the_database}
    found = asyncio.run(asyncio.wait_for(scenarios[sys.argv[2]](folder), WAIT_S))
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
