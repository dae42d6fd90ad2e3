"""Asks the draft worker what is in a picture: faces, warnings, and a picture made ready. Service process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.engines.worker_port import EngineWorker
from backend.engines.worker_types import TaskRequest
from backend.models.codes import ErrorCode
from backend.models.errors import EngineFailure
from backend.models.speakers import FaceBox

# Finding a face in an 8000 px picture takes seconds; loading the worker on a slow disk more.
PROBE_DEADLINE_S = 60.0


@dataclass(frozen=True)
class ProbedPortrait:
    """`picture` is an upright RGB PNG of at most 4096 px, `thumbnail` a JPEG of at most 512 px.

    `data` holds width, height, faces (fractions of the picture), chosen, warnings and crop. `whole`: the upright picture
    of which a part was asked for, a PNG; None without a crop.
    """

    picture: Path
    thumbnail: Path
    data: dict[str, Any]
    whole: Path | None = None


class PortraitProbe:
    """Runs the task `portrait_probe`."""

    def __init__(self, supervisor: EngineWorker) -> None:
        self._supervisor = supervisor

    async def probe(
        self,
        image: Path,
        *,
        ticket: str,
        work_dir: Path,
        crop: FaceBox | None = None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> ProbedPortrait:
        """Look at a picture, or at the part of it that `crop` names. Raises EngineFailure with image_unreadable, face_not_found, face_too_small
        or too_large, and JobCancelled."""
        output_dir = work_dir / "probe"
        await asyncio.to_thread(output_dir.mkdir, parents=True, exist_ok=True)
        result = await self._supervisor.run(
            TaskRequest(
                job_id=ticket,
                attempt=1,
                task="portrait_probe",
                inputs={"image": image},
                params={} if crop is None else {"crop": crop.model_dump()},
                output_dir=output_dir,
                deadline_s=PROBE_DEADLINE_S,
            ),
            report=None,
            cancelled=cancelled,
        )
        paths = {artifact.role: artifact.path for artifact in result.artifacts}
        if "portrait" not in paths or "thumbnail" not in paths:
            raise EngineFailure(ErrorCode.NO_OUTPUT, "The portrait check ended without its picture.")
        return ProbedPortrait(paths["portrait"], paths["thumbnail"], dict(result.data), paths.get("whole"))
