"""Pictures of what is being drawn, as one small JPEG. Runs in the wan2gp worker, on the thread of the task.

Flow: PIL image of an event -> at most one every two seconds -> 512 pixels, 60 kB -> replaced in one step, so that who
reads the file at any moment finds a whole picture.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PREVIEW_NAME = "preview.jpg"
# More often nobody looks, and every picture costs a write.
INTERVAL_S = 2.0
MAX_SIDE = 512
MAX_BYTES = 60_000
# The first that fits is taken; noise, which the first steps are, compresses badly.
_QUALITIES = (80, 65, 50, 35, 20)


class Previews:
    """Writes to one file. Pictures that come too soon are dropped."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._due_at = -float("inf")

    def take(self, image: Any) -> bool:
        """Write `image` (a PIL image) if it is time. Returns whether it was written; raises OSError."""
        now = self._clock()
        if image is None or now < self._due_at:
            return False
        data = small_jpeg(image)
        draft = self._path.with_suffix(".tmp")
        draft.write_bytes(data)
        draft.replace(self._path)
        self._due_at = now + INTERVAL_S
        return True


def small_jpeg(image: Any) -> bytes:
    """A JPEG of at most `MAX_SIDE` pixels and `MAX_BYTES` bytes; smaller where quality alone does not suffice."""
    picture = image.convert("RGB")
    side = MAX_SIDE
    while True:
        smaller = picture.copy()
        smaller.thumbnail((side, side))
        for quality in _QUALITIES:
            buffer = io.BytesIO()
            smaller.save(buffer, "JPEG", quality=quality)
            if buffer.tell() <= MAX_BYTES:
                return buffer.getvalue()
        side //= 2  # ends: a picture of a few pixels always fits
