"""Fetches one file over HTTP and goes on where an earlier try stopped. Standard library; start script's Python.

Flow: what lies in `FILE.part` is offered to the server (`Range`, with `If-Range` when the server named its version) ->
the rest is appended, or all of it comes anew -> renamed when it is whole. Nothing here trusts what came: whoever asks
holds it to a hash of its own.
"""

from __future__ import annotations

import http.client
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

# A server that says nothing for this long (s) is gone.
SILENCE_S = 60.0
_BLOCK = 256 * 1024
_AGENT = "all-in-one-installer"
_OK, _PARTIAL, _BAD_RANGE = 200, 206, 416

Seen = Callable[[int, "int | None"], None]


class DownloadError(Exception):
    """The file did not come. `is_network`: trying again may help, what came so far is kept."""

    def __init__(self, message: str, *, is_network: bool = True) -> None:
        super().__init__(message)
        self.is_network = is_network


def fetch(url: str, target: Path, *, limit: int, deadline: float, seen: Seen | None = None) -> bool:
    """Make `target` the file behind `url`, of at most `limit` bytes; True when it was put together from parts.

    `deadline` is a time of `time.monotonic`; `seen` is told (bytes there, bytes in all or None) now and then.
    Raises DownloadError, and OSError when the disk does not take it.
    """
    if not url.startswith(("https://", "http://")):
        raise DownloadError(f"{url} is no address of a web server", is_network=False)
    part = target.with_name(target.name + ".part")
    mark = target.with_name(target.name + ".version")
    try:
        with _answer(url, part, mark) as answer:
            goes_on = _receive(answer, part, mark, limit, deadline, seen)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == _BAD_RANGE:
            # What is here does not fit what is there: begin anew next time.
            forget(target)
        raise DownloadError(f"the server answered {error.code} ({error.reason})") from error
    except (
        urllib.error.URLError,
        http.client.HTTPException,
        ssl.SSLError,
        TimeoutError,
        ConnectionError,
    ) as error:
        raise DownloadError(
            str(getattr(error, "reason", "")) or str(error) or type(error).__name__
        ) from error
    mark.unlink(missing_ok=True)
    part.replace(target)
    return goes_on


def forget(target: Path) -> None:
    """Throw away what came so far."""
    for suffix in ("", ".part", ".version"):
        target.with_name(target.name + suffix).unlink(missing_ok=True)


def _answer(url: str, part: Path, mark: Path) -> Any:
    request = urllib.request.Request(url, headers={"User-Agent": _AGENT})  # noqa: S310 - scheme checked by fetch
    if part.is_file() and part.stat().st_size > 0:
        request.add_header("Range", f"bytes={part.stat().st_size}-")
        if mark.is_file():
            request.add_header("If-Range", mark.read_text("ascii"))
    return urllib.request.urlopen(request, timeout=SILENCE_S)  # noqa: S310 - scheme checked by fetch


def _receive(answer: Any, part: Path, mark: Path, limit: int, deadline: float, seen: Seen | None) -> bool:
    have = part.stat().st_size if part.is_file() else 0
    goes_on = answer.status == _PARTIAL and _starts_at(answer.headers.get("Content-Range"), have)
    if answer.status not in (_OK, _PARTIAL) or (answer.status == _PARTIAL and not goes_on):
        part.unlink(missing_ok=True)
        raise DownloadError(f"the server answered {answer.status} in a way that cannot be used")
    if not goes_on:
        have = 0
        _remember(mark, answer.headers.get("ETag"))
    length = answer.headers.get("Content-Length")
    total = have + int(length) if length is not None and length.isdecimal() else None
    if total is not None and total > limit:
        raise DownloadError(f"the file has {total} bytes, at most {limit} were expected", is_network=False)
    with part.open("ab" if goes_on else "wb") as file:
        for block in _blocks(answer, deadline):
            have += len(block)
            if have > limit:
                raise DownloadError(f"the file is larger than {limit} bytes", is_network=False)
            file.write(block)
            if seen is not None:
                seen(have, total)
    if total is not None and have != total:
        raise DownloadError(f"the connection broke after {have} of {total} bytes")
    return goes_on


def _blocks(answer: IO[bytes], deadline: float) -> Iterator[bytes]:
    while True:
        if time.monotonic() > deadline:
            raise DownloadError("it took too long")
        block = answer.read(_BLOCK)
        if not block:
            return
        yield block


def _starts_at(content_range: str | None, have: int) -> bool:
    return content_range is not None and content_range.startswith(f"bytes {have}-")


def _remember(mark: Path, version: str | None) -> None:
    """Keep the server's name of this version; only a strong one may be used for a part."""
    if version is not None and version.startswith('"') and version.isascii():
        mark.write_text(version, encoding="ascii")
    else:
        mark.unlink(missing_ok=True)
