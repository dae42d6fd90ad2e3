"""Where packages come from: settings, or the fastest of the known mirrors when asked. Standard library only.

Flow: `.env` and environment -> one address for each kind. With `--fastest-mirrors`, every candidate is asked for the
same small file at once; the one that delivers most within a few seconds wins, one that does not answer is out.
What comes from PyPI is held to hashes, so a mirror can be slow or absent, but cannot slip in something else.
"""

from __future__ import annotations

import os
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from launcher import dotenv
from launcher.errors import Exit, LauncherError

PYPI = "https://pypi.org/simple"
TORCH = "https://download.pytorch.org/whl"
GITHUB = "https://github.com"
HUGGING_FACE = "https://huggingface.co"


@dataclass(frozen=True)
class Kind:
    """One kind of source. `probe` is fetched below an address to measure it."""

    setting: str
    title: str
    default: str
    mirrors: tuple[str, ...]
    probe: str


KINDS: dict[str, Kind] = {
    "pypi": Kind(
        "PIP_INDEX_URL",
        "packages",
        PYPI,
        ("https://pypi.tuna.tsinghua.edu.cn/simple", "https://mirrors.aliyun.com/pypi/simple"),
        "/transformers/",
    ),
    "torch": Kind(
        "TORCH_INDEX_URL", "PyTorch", TORCH, ("https://mirror.nju.edu.cn/pytorch/whl",), "/cu128/torch/"
    ),
    "github": Kind(
        "GITHUB_MIRROR",
        "GitHub",
        GITHUB,
        ("https://ghfast.top/https://github.com",),
        "/astral-sh/python-build-standalone/releases/latest",
    ),
    "hugging_face": Kind(
        "HF_ENDPOINT",
        "weights",
        HUGGING_FACE,
        ("https://hf-mirror.com",),
        "/openbmb/VoxCPM2/resolve/main/config.json",
    ),
}
# Enough to tell a fast mirror from a slow one; nobody waits longer for a measurement.
MEASURE_S = 8.0
_MEASURE_BYTES = 4 << 20
_BLOCK = 64 * 1024
_SCHEMES = ("https://", "http://", "file://")


@dataclass(frozen=True)
class Sources:
    """Addresses without a slash at the end."""

    pypi: str = PYPI
    torch: str = TORCH
    github: str = GITHUB
    hugging_face: str = HUGGING_FACE

    def of(self, kind: str) -> str:
        return str(getattr(self, kind))


def configured(root: Path, environ: Mapping[str, str] = os.environ) -> Sources:
    """What the settings say; the environment before `.env`, as everywhere.

    Raises LauncherError for a value that is no address, before minutes are spent on what works without it.
    """
    found = {}
    for name, kind in KINDS.items():
        value = environ.get(kind.setting) or dotenv.read_value(root / ".env", kind.setting)
        if not value:
            continue
        # pip and uv take a bare folder of packages as well.
        if name != "pypi" and not value.startswith(_SCHEMES):
            raise LauncherError(
                Exit.SETTINGS,
                f"{kind.setting} is not an address: it begins with none of {', '.join(_SCHEMES)}.",
                fix=f"write it like {kind.mirrors[0]}, or leave it blank for {kind.default}.",
                fix_zh=f"请写成 {kind.mirrors[0]} 这样的完整地址，或留空使用 {kind.default}。",
            )
        found[name] = value.rstrip("/")
    return Sources(**found)


Measure = Callable[[str], float]


def fastest(sources: Sources, measure: Measure) -> tuple[Sources, dict[str, dict[str, float]]]:
    """The fastest address of each kind, and bytes per second of all that were asked (0: no answer).

    A kind where nobody answers keeps its address.
    """
    chosen, rates = sources, {}
    for name, kind in KINDS.items():
        candidates = list(dict.fromkeys([sources.of(name), kind.default, *kind.mirrors]))
        speeds = _all_at_once([f"{address}{kind.probe}" for address in candidates], measure)
        rates[name] = dict(zip(candidates, speeds, strict=True))
        rate, place = max((speed, -index) for index, speed in enumerate(speeds))
        if rate > 0:
            chosen = replace(chosen, **{name: candidates[-place]})
    return chosen, rates


def _all_at_once(addresses: list[str], measure: Measure) -> list[float]:
    speeds = [0.0] * len(addresses)

    def ask(index: int) -> None:
        speeds[index] = measure(addresses[index])

    threads = [threading.Thread(target=ask, args=(index,), daemon=True) for index in range(len(addresses))]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 2 * MEASURE_S
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return list(speeds)


def measured(address: str) -> float:
    """Bytes per second from `address`, the wait for its answer included; 0 when it does not answer properly."""
    if not address.startswith(("https://", "http://")):
        return 0.0
    request = urllib.request.Request(address, headers={"User-Agent": "all-in-one-installer"})  # noqa: S310
    started = time.monotonic()
    total = 0
    try:
        with urllib.request.urlopen(request, timeout=MEASURE_S) as answer:  # noqa: S310 - scheme checked above
            while total < _MEASURE_BYTES and time.monotonic() - started < MEASURE_S:
                block = answer.read(_BLOCK)
                if not block:
                    break
                total += len(block)
    except (OSError, urllib.error.URLError, ValueError):
        return 0.0
    return total / max(1e-3, time.monotonic() - started)


def without_secret(url: str) -> str:
    """An address without user name and password."""
    scheme, separator, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return scheme + separator + host.rpartition("@")[2] + slash + path
