"""What holds for every test run: it ends, whatever a test left running, and the same code gives the same result."""

from __future__ import annotations

import os
import sys
import threading
import time

import pytest
from hypothesis import settings

# Examples are those of the code and not of chance, so that nothing fails for who did not change it. To look for new
# ones: `--hypothesis-profile=default`.
settings.register_profile("repeatable", derandomize=True)
settings.load_profile("repeatable")

# Threads that are about to end anyway may do so.
GRACE_S = 2.0
STATUS = pytest.StashKey[int]()


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    session.config.stash[STATUS] = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """End although threads are left.

    A test that fails before it closed its store leaves the thread of a database connection. The interpreter waits
    for such threads at exit, without a limit: a failure would become a run that never ends.
    """
    if hasattr(config, "workerinput"):  # a process of pytest-xdist's, which its parent ends
        return
    deadline = time.monotonic() + GRACE_S
    left = [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
    left = [thread for thread in left if not thread.daemon]
    for thread in left:
        thread.join(max(0.0, deadline - time.monotonic()))
    if not (left := [thread for thread in left if thread.is_alive()]):
        return
    sys.stderr.write(f"tests left threads running: {', '.join(thread.name for thread in left)}\n")
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(config.stash.get(STATUS, int(pytest.ExitCode.INTERNAL_ERROR)))
