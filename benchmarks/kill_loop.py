"""Kills the service at random moments of real jobs, restarts it, and at the end counts what was broken.

Run: `python -m benchmarks.kill_loop [--kills 200] [--twins] [--minutes 30] [--seed N]`. Loopback only, a data folder
of its own. `--twins` puts twins in place of the engines: quicker, and half of the deaths then fall before a
chosen SQL statement instead of at a chosen time. Meanwhile clients submit (some with an Idempotency-Key that
is sent again after the kill), cancel and look. Exits with 1 when a promise was broken.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks.kill_loop_audit import Audit, audit

ROOT = Path(__file__).resolve().parents[1]
BOOT_WITHIN_S = 90.0
# A killed service's processes have this long; the kernel ends engines at once, an ffmpeg may finish a write.
GONE_WITHIN_S = 3.0
DRAIN_WITHIN_S = 600.0
STOP_WITHIN_S = 10.0
# Jobs that may wait or run before the clients submit no more.
MAX_OPEN = 5
# Longest life of a boot after its first answer, s: long enough for a job of each kind to end in some.
LIFE_S = {True: 3.0, False: 12.0}
# A boot with twins runs about this many statements in its life.
STATEMENTS = 250
MARK = "ALL_IN_ONE_KILL_LOOP"


@dataclass
class Post:
    """One submission. `job_id` None: not acknowledged (yet)."""

    body: dict[str, Any]
    key: str | None
    job_id: str | None = None


@dataclass
class Ledger:
    """What the clients were told, the only thing the audit believes."""

    posts: list[Post] = field(default_factory=list)
    cancels: dict[str, str] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def acknowledged(self) -> set[str]:
        return {post.job_id for post in self.posts if post.job_id is not None}


class Boot:
    """One life of the service."""

    def __init__(self, folder: Path, *, twins: bool, token: str, die: str | None = None) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.base = f"http://127.0.0.1:{port}"
        if twins:
            command = [sys.executable, "-m", "tests.support.mortal_server", str(folder), str(port)]
            command += ["--die", die] if die else []
        else:
            command = [sys.executable, "-m", "uvicorn", "backend.main:app", "--port", str(port)]
        env = {
            **os.environ,
            MARK: token,
            "DATA_DIR": str(folder / "data"),
            "LOGS_DIR": str(folder / "logs"),
            "CPU_THREADS": "1",
        }
        self.output = (folder / "server.txt").open("ab")
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=env, stdout=self.output, stderr=subprocess.STDOUT
        )

    def is_up(self) -> bool:
        """Wait for the first answer; False when the process died before it."""
        give_up_at = time.monotonic() + BOOT_WITHIN_S
        while time.monotonic() < give_up_at:
            if self.process.poll() is not None:
                return False
            try:
                with httpx.Client(trust_env=False, timeout=5) as http:
                    http.get(self.base + "/health")
                return True
            except httpx.TransportError:
                time.sleep(0.02)
        raise SystemExit("the service did not answer in time")

    def children(self) -> list[psutil.Process]:
        try:
            return psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(timeout=30)
        self.output.close()

    def stop(self) -> float:
        """Stop in good order; seconds it took."""
        began = time.monotonic()
        self.process.terminate()
        self.process.wait(timeout=60)
        self.output.close()
        return time.monotonic() - began


class Client(threading.Thread):
    """Submits, cancels and looks until the service is gone."""

    def __init__(self, boot: Boot, ledger: Ledger, chance: random.Random) -> None:
        super().__init__(name="client", daemon=True)
        self._boot = boot
        self._ledger = ledger
        self._chance = chance
        self.halt = threading.Event()

    def run(self) -> None:
        with httpx.Client(base_url=self._boot.base, trust_env=False, timeout=30) as http:
            try:
                send_again(http, self._ledger)
                while not self.halt.wait(self._chance.uniform(0.0, 0.3)):
                    self._act(http)
            except httpx.TransportError:
                return  # killed

    def _act(self, http: httpx.Client) -> None:
        queue = http.get("/api/queue").json()
        if queue["queued"] + queue["running"] < MAX_OPEN:
            submit(http, self._ledger, new_post(self._chance))
        elif self._chance.random() < 0.15:
            jobs = http.get("/api/jobs", params={"limit": 10}).json()["data"]
            job = self._chance.choice(jobs)
            cancel(http, self._ledger, job["job_id"])


def new_post(chance: random.Random) -> Post:
    words = chance.sample(("one", "two", "three", "four", "five", "six", "seven", "eight"), 3)
    body = {
        "voice_id": "voice_builtinafheart",
        "avatar_url": "avatar_builtinaria",
        "script_input": f"{' '.join(words).capitalize()}.",
        "title": uuid.uuid4().hex,
    }
    return Post(body, uuid.uuid4().hex if chance.random() < 0.5 else None)


def submit(http: httpx.Client, ledger: Ledger, post: Post) -> None:
    """Send a post. Its id is noted only when the answer has arrived whole."""
    if post not in ledger.posts:
        ledger.posts.append(post)
    headers = {"Idempotency-Key": post.key} if post.key else {}
    answer = http.post("/api/jobs", json=post.body, headers=headers)
    if answer.status_code != 202:
        ledger.broken.append(f"a submission was answered {answer.status_code}: {answer.text[:200]}")
        return
    job_id = answer.json()["job_id"]
    if post.job_id not in (None, job_id):
        ledger.broken.append(f"one key gave two jobs: {post.job_id} and {job_id}")
    post.job_id = job_id


def send_again(http: httpx.Client, ledger: Ledger) -> None:
    """Repeat what has a key and was never acknowledged, and the newest that was."""
    keyed = [post for post in ledger.posts if post.key]
    for post in [*(post for post in keyed if post.job_id is None), *keyed[-1:]]:
        submit(http, ledger, post)
        ledger.counts["sent again"] += 1


def cancel(http: httpx.Client, ledger: Ledger, job_id: str) -> None:
    answer = http.post(f"/api/jobs/{job_id}/cancel")
    if answer.status_code != 202:
        ledger.broken.append(f"a cancel was answered {answer.status_code}: {answer.text[:200]}")
        return
    status = answer.json()["status"]
    if status in {"cancelling", "cancelled"}:
        ledger.cancels[job_id] = status


def strangers(folder: Path, token: str) -> list[str]:
    """Living processes that carry our token, work in our folder or name it, other than this one."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                continue
            named = any(str(folder) in argument for argument in process.cmdline())
            if named or process.cwd().startswith(str(folder)) or process.environ().get(MARK) == token:
                found.append(f"{process.pid} {' '.join(process.cmdline())[:160]}")
        except (psutil.Error, OSError):
            continue
    return found


def one_life(folder: Path, ledger: Ledger, chance: random.Random, *, twins: bool, token: str) -> None:
    """Boot, let clients work, kill, look for what outlived it."""
    by_statement = twins and chance.random() < 0.5
    die = f"sql::{chance.randrange(1, STATEMENTS)}" if by_statement else None
    boot = Boot(folder, twins=twins, token=token, die=die)
    client = Client(boot, ledger, random.Random(chance.random()))  # noqa: S311
    lives_s = chance.uniform(0.0, LIFE_S[twins])
    if by_statement or chance.random() < 0.9:
        up = boot.is_up()
    else:
        # Some die while they start.
        up = False
        time.sleep(chance.uniform(0.0, 2.0))
    ledger.counts["killed while starting"] += not up
    if up:
        client.start()
        ends_at = time.monotonic() + lives_s
        while time.monotonic() < ends_at and boot.process.poll() is None:
            time.sleep(0.01)
    children = boot.children()
    ledger.counts["killed by statement" if boot.process.poll() is not None else "killed by time"] += 1
    boot.kill()
    ledger.counts["kills"] += 1
    ledger.counts["children at death"] += len(children)
    client.halt.set()
    if up:
        client.join(timeout=60)
    gone_by = time.monotonic() + GONE_WITHIN_S
    while (orphans := strangers(folder, token)) and time.monotonic() < gone_by:
        time.sleep(0.2)
    ledger.broken += [f"an orphan after {GONE_WITHIN_S:.0f} s: {orphan}" for orphan in orphans]


def drain(folder: Path, ledger: Ledger, *, twins: bool, token: str) -> None:
    """A last undisturbed life until nothing waits or runs, stopped in good order; then one that only tidies."""
    boot = Boot(folder, twins=twins, token=token)
    if not boot.is_up():
        raise SystemExit("the last boot did not start")
    with httpx.Client(base_url=boot.base, trust_env=False, timeout=30) as http:
        send_again(http, ledger)
        give_up_at = time.monotonic() + DRAIN_WITHIN_S
        while (queue := http.get("/api/queue").json())["queued"] + queue["running"] > 0:
            if queue["paused"] or time.monotonic() > give_up_at:
                ledger.broken.append(f"jobs do not end: {queue}")
                break
            time.sleep(0.1)
    took_s = boot.stop()
    if took_s > STOP_WITHIN_S:
        ledger.broken.append(f"a stop in good order took {took_s:.1f} s")
    tidier = Boot(folder, twins=twins, token=token)
    if not tidier.is_up():
        raise SystemExit("the tidying boot did not start")
    time.sleep(2.0)
    tidier.stop()
    for orphan in strangers(folder, token):
        ledger.broken.append(f"an orphan after a stop in good order: {orphan}")


def run_loop(
    folder: Path, *, kills: int, twins: bool, seed: int, until: float = float("inf"), verbose: bool = False
) -> tuple[Ledger, Audit]:
    """`kills` lives (fewer when the clock passes `until`, s monotonic), the drain and the audit."""
    chance = random.Random(seed)  # noqa: S311 - a repeatable run
    ledger, token = Ledger(), uuid.uuid4().hex
    for number in range(1, kills + 1):
        if time.monotonic() > until:
            break
        one_life(folder, ledger, chance, twins=twins, token=token)
        if verbose and number % 10 == 0:
            print(f"{number} kills, {len(ledger.posts)} posts, broken: {ledger.broken}", flush=True)
    drain(folder, ledger, twins=twins, token=token)
    keys = {post.key: post.job_id for post in ledger.posts if post.key}
    found = audit(folder / "data", acknowledged=ledger.acknowledged, cancels=ledger.cancels, keys=keys)
    found.broken.extend(ledger.broken)
    return ledger, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--twins", action="store_true")
    parser.add_argument(
        "--minutes", type=float, default=30.0, help="no kill after this; then drain and count"
    )
    parser.add_argument("--seed", type=int, default=None)
    given = parser.parse_args()
    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(10**6)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "data").mkdir()
        if not given.twins:
            (folder / "data" / "models").symlink_to(ROOT / "data" / "models", target_is_directory=True)
        began = time.monotonic()
        ledger, found = run_loop(
            folder,
            kills=given.kills,
            twins=given.twins,
            seed=seed,
            until=began + given.minutes * 60,
            verbose=True,
        )
        took_s = time.monotonic() - began
    if ledger.counts["kills"] < given.kills:
        found.broken.append(
            f"only {ledger.counts['kills']} of {given.kills} kills in {given.minutes:g} minutes"
        )
    print(f"\n{'twins' if given.twins else 'real engines'}, seed {seed}, {took_s:.0f} s")
    for label, value in [*sorted(ledger.counts.items()), *found.table()]:
        print(f"{label:<44}{value:>8}")
    for sentence in found.broken:
        print(f"BROKEN: {sentence}")
    raise SystemExit(1 if found.broken else 0)


if __name__ == "__main__":
    main()
