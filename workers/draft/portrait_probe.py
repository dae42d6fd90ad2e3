"""Task `portrait_probe`: is this a picture we can animate? Runs in the draft worker.

Flow: file -> normalised picture -> upright, faces and warnings -> portrait.png, thumbnail.jpg and a description.
"""

from __future__ import annotations

from typing import Any

from PIL import Image as Pil

from workers.draft.arrays import Image
from workers.draft.faces import Face
from workers.draft.image_input import load_picture
from workers.draft.orientation import find_upright
from workers.draft.portrait_checks import check_portrait
from workers.draft.sessions import Models
from workers.handler import Task, TaskContext

THUMBNAIL_SIDE_PX = 512
_THUMBNAIL_QUALITY = 88
# Fast to write and read again; the file is kept once per portrait.
_PNG_LEVEL = 3


def probe_portrait(task: Task, context: TaskContext, models: Models) -> dict[str, Any]:
    """Run the task. Returns sizes, faces (fractions of the picture) and warnings. Raises `TaskError`."""
    picture = load_picture(task.inputs["image"])
    context.raise_if_cancelled()
    context.progress(0.3, "Looking for faces")
    upright = find_upright(models, picture, context.raise_if_cancelled)
    picture, faces = upright.picture, upright.faces
    warnings = check_portrait(picture, faces, faces[0], rotated=upright.rotated)
    context.progress(0.6, "Saving the portrait")
    height, width = picture.shape[:2]
    _save(task, context, picture)
    context.progress(1.0, "Portrait ready")
    return {
        "width": width,
        "height": height,
        "faces": [_describe(face, width, height) for face in faces],
        "chosen": 0,
        "warnings": warnings,
    }


def _save(task: Task, context: TaskContext, picture: Image) -> None:
    height, width = picture.shape[:2]
    whole = Pil.fromarray(picture)
    portrait = task.output_dir / "portrait.png"
    whole.save(portrait, "PNG", compress_level=_PNG_LEVEL)
    context.artifact("portrait", portrait, media_type="image/png", width=width, height=height)
    context.raise_if_cancelled()
    whole.thumbnail((THUMBNAIL_SIDE_PX, THUMBNAIL_SIDE_PX), Pil.Resampling.LANCZOS, reducing_gap=2.0)
    thumbnail = task.output_dir / "thumbnail.jpg"
    whole.save(thumbnail, "JPEG", quality=_THUMBNAIL_QUALITY)
    context.artifact("thumbnail", thumbnail, media_type="image/jpeg", width=whole.width, height=whole.height)


def _describe(face: Face, width: int, height: int) -> dict[str, float]:
    """A face as fractions of the picture, clipped to it."""
    x0, y0, x1, y1 = face.box
    x0, x1 = max(0.0, x0 / width), min(1.0, x1 / width)
    y0, y1 = max(0.0, y0 / height), min(1.0, y1 / height)
    return {
        "x": round(x0, 5),
        "y": round(y0, 5),
        "w": round(x1 - x0, 5),
        "h": round(y1 - y0, 5),
        "score": round(face.score, 4),
        "size_px": round(face.size_px, 1),
        "yaw_deg": round(face.yaw_deg, 1),
    }
