"""Makes the lock files again: `python tools/lock.py` (needs the network; installs uv into a temporary folder).

requirements.txt -> requirements.lock, requirements-dev.txt -> requirements-dev.lock. Each lock is the full closure
for Python 3.10, 3.11 and 3.12 on Linux, Windows and macOS, with environment markers and the hashes of every file.
`--check` also resolves each Python and platform from wheels alone, so that no user needs a compiler.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
UV = "uv==0.13.9"
LOWEST_PYTHON = "3.10"
LOCKS = {
    "requirements.txt": "requirements.lock",
    "requirements-dev.txt": "requirements-dev.lock",
    "requirements-build.txt": "requirements-build.lock",
    "requirements-listen.txt": "requirements-listen.lock",
}

# Engines with an environment of their own: what the installer puts there, without what it chooses for the GPU.
ENGINE_LOCKS = {
    "installer/locks/uv.txt": "installer/locks/uv.lock",
    "installer/locks/voxcpm.txt": "installer/locks/voxcpm.lock",
    "installer/locks/wan2gp.txt": "installer/locks/wan2gp.lock",
    "installer/locks/wan2gp-source.txt": "installer/locks/wan2gp-source.lock",
    "installer/locks/ffmpeg.txt": "installer/locks/ffmpeg.lock",
    "installer/locks/infinitetalk.txt": "installer/locks/infinitetalk.lock",
    "installer/locks/infinitetalk-test.txt": "installer/locks/infinitetalk-test.lock",
}
# The oldest Python of an engine, where it is not the product's.
ENGINE_PYTHONS = {
    "installer/locks/wan2gp.txt": "3.11",
    "installer/locks/wan2gp-source.txt": "3.11",
    # transformers 5 and diffusers want 3.11 or newer
    "installer/locks/infinitetalk.txt": "3.11",
    "installer/locks/infinitetalk-test.txt": "3.11",
}
# Lists whose packages' requirements are in another lock, or not needed.
WITHOUT_REQUIREMENTS = ("installer/locks/wan2gp-source.txt", "installer/locks/ffmpeg.txt")
# Where such an engine runs: there is no build of it for macOS.
ENGINE_PLATFORMS = ("x86_64-manylinux_2_28", "aarch64-manylinux_2_28", "x86_64-pc-windows-msvc")
ENGINE_WHEELS = ("installer/locks/wan2gp.txt", "installer/locks/infinitetalk.txt")

PYTHONS = ("3.10", "3.11", "3.12")
PLATFORMS = (
    "x86_64-manylinux_2_28",
    "aarch64-manylinux_2_28",
    "x86_64-pc-windows-msvc",
    "aarch64-apple-darwin",
)
# onnxruntime's wheels want macOS 14; an older one, or an Intel Mac, needs Python 3.10.
OLDEST_SYSTEMS = {"MACOSX_DEPLOYMENT_TARGET": "14.0"}
HEADER = "# Made by tools/lock.py from {source}; do not edit.\n"


def install_uv(folder: Path) -> Path:
    """A private environment with uv; returns the program."""
    venv.create(folder, with_pip=True)
    scripts = folder / ("Scripts" if sys.platform == "win32" else "bin")
    subprocess.run([str(scripts / "python"), "-m", "pip", "install", "--quiet", UV], check=True)  # noqa: S603
    return scripts / "uv"


def compile_lock(uv: Path, source: str, target: str) -> None:
    """Resolve `source` into `target`, keeping versions that the target already holds."""
    python = ENGINE_PYTHONS.get(source, LOWEST_PYTHON)
    command = [
        *(str(uv), "pip", "compile", "--universal", "--python-version", python, "--generate-hashes"),
        *("--no-header", "--no-emit-index-url", "--no-annotate", "--quiet", source, "--output-file", target),
    ]
    command += _excluded(source)
    if source in WITHOUT_REQUIREMENTS:
        command.append("--no-deps")
    if source != "requirements.txt" and source not in ENGINE_LOCKS:
        # What the tests run against is what the users run.
        command += ["--constraint", LOCKS["requirements.txt"]]
    subprocess.run(command, cwd=ROOT, check=True)  # noqa: S603
    lock = ROOT / target
    lock.write_text(
        HEADER.format(source=source) + lock.read_text(encoding="utf-8"), encoding="utf-8", newline="\n"
    )


def _excluded(source: str) -> list[str]:
    """The packages that the environment of `source` does without."""
    excludes = (ROOT / source).with_suffix(".excludes")
    return ["--excludes", str(excludes)] if excludes.exists() else []


def check_wheels(
    uv: Path, source: str, pythons: Sequence[str] = PYTHONS, platforms: Sequence[str] = PLATFORMS
) -> list[str]:
    """Pythons and platforms for which `source` does not resolve from wheels alone."""
    failed = []
    for python in pythons:
        for platform in platforms:
            command = [
                *(str(uv), "pip", "compile", "--quiet", "--only-binary", ":all:"),
                *(
                    "--python-version",
                    python,
                    "--python-platform",
                    platform,
                    source,
                    "--constraint",
                    {**LOCKS, **ENGINE_LOCKS}[source],
                ),
                *_excluded(source),
            ]
            done = subprocess.run(  # noqa: S603
                command,
                cwd=ROOT,
                env={**os.environ, **OLDEST_SYSTEMS},
                check=False,
                stdout=subprocess.DEVNULL,
            )
            if done.returncode != 0:
                failed.append(f"{source}: Python {python} on {platform}")
    return failed


def main(argv: Sequence[str] | None = None) -> int:
    """0 when the locks are written (and, with --check, fit everywhere)."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--upgrade", action="store_true", help="forget the versions in the present locks")
    parser.add_argument(
        "--check", action="store_true", help="also resolve every Python and platform from wheels"
    )
    arguments = parser.parse_args(argv)
    failed: list[str] = []
    with tempfile.TemporaryDirectory(prefix="all-in-one-lock-") as folder:
        uv = install_uv(Path(folder))
        for source, target in {**LOCKS, **ENGINE_LOCKS}.items():
            if arguments.upgrade:
                (ROOT / target).unlink(missing_ok=True)
            compile_lock(uv, source, target)
        if arguments.check:
            failed = [line for source in LOCKS for line in check_wheels(uv, source)]
            for source in ENGINE_WHEELS:
                failed += check_wheels(uv, source, (ENGINE_PYTHONS[source],), ENGINE_PLATFORMS)
    for line in failed:
        sys.stderr.write(f"no wheels for {line}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
