"""`python tools/page_checks/check.py`: types (tsc --checkJs) and lint (ESLint) of the page's scripts.

Both come from the npm registry, pinned in package-lock.json beside this file; they are for development only. A
machine without Node.js, or without a registry to fetch them from, is told that they are left out: nobody needs
Node.js to use or to serve the page. The browser tests take axe-core from the same folder.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
MODULES = HERE / "node_modules"
# Says which lock the packages that lie there were installed from.
STAMP = MODULES / ".installed-from"
# A registry that answers slowly; the packages are 10 MB.
INSTALL_TIMEOUT_S = 300
# Each takes a few seconds on an idle machine.
CHECK_TIMEOUT_S = 300
# The oldest Node.js that the pinned ESLint runs on.
OLDEST_NODE = (18, 18)

CHECKS: dict[str, tuple[str, ...]] = {
    "tsc --checkJs": (str(MODULES / "typescript" / "bin" / "tsc"), "--project", str(HERE / "tsconfig.json")),
    "eslint": (
        str(MODULES / "eslint" / "bin" / "eslint.js"),
        *("--config", str(HERE / "eslint.config.js"), "--max-warnings", "0", "webui/js"),
    ),
}


def node_version(node: str) -> tuple[int, ...]:
    """`(20, 11)` of `v20.11.0`; nothing when it does not say."""
    answer = subprocess.run(
        [node, "--version"], capture_output=True, text=True, timeout=CHECK_TIMEOUT_S, check=False
    )
    numbers = answer.stdout.strip().removeprefix("v").split(".")[:2]
    return tuple(int(number) for number in numbers if number.isdigit())


def lock_hash(folder: Path = HERE) -> str:
    """Of the lock that says what is installed."""
    return hashlib.sha256((folder / "package-lock.json").read_bytes()).hexdigest()


def install(npm: str) -> str | None:
    """Install what the lock names, once for each lock; returns why that was not possible."""
    if STAMP.is_file() and STAMP.read_text(encoding="utf-8") == lock_hash():
        return None
    command = [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
    try:
        done = subprocess.run(
            command, cwd=HERE, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return f"npm ci took longer than {INSTALL_TIMEOUT_S} s"
    if done.returncode != 0:
        return (done.stderr or done.stdout).strip() or f"npm ci ended with status {done.returncode}"
    STAMP.write_text(lock_hash(), encoding="utf-8")
    return None


def why_not(node: str, npm: str) -> str | None:
    """Why these checks cannot run here; None when they can. Empty: that program is not there."""
    if not node or not npm:
        return "Node.js and npm are not there"
    if (version := node_version(node)) < OLDEST_NODE:
        shown = ".".join(map(str, version)) or "of an unknown version"
        return f"Node.js {shown} is older than {'.'.join(map(str, OLDEST_NODE))}"
    return install(npm)


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when nothing was found or nothing could be run (which is said), else 1."""
    del arguments
    node = shutil.which("node") or ""
    if (reason := why_not(node, shutil.which("npm") or "")) is not None:
        print(f"The page's types and lint are left out: {reason}", flush=True)
        return 0
    failed = []
    env = os.environ | {"NO_UPDATE_NOTIFIER": "1"}
    for name, command in CHECKS.items():
        status = subprocess.run(
            [node, *command], cwd=ROOT, env=env, timeout=CHECK_TIMEOUT_S, check=False
        ).returncode
        print(f"{name}: {'nothing found' if status == 0 else f'failed with status {status}'}", flush=True)
        if status:
            failed.append(name)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
