"""Task `portrait_probe`: is this a picture we can animate? Runs in the draft worker.

Flow: file -> normalised picture -> the part that was asked for -> upright, faces and warnings -> portrait.png,
thumbnail.jpg and a description; of a part also whole.png, so that another part can be chosen later.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from PIL import Image as Pil

from workers.draft import topology as topo
from workers.draft.arrays import Image
from workers.draft.crop import crop_of
from workers.draft.faces import Face
from workers.draft.image_input import load_picture
from workers.draft.orientation import find_upright
from workers.draft.portrait_checks import check_portrait
from workers.draft.sessions import Models
from workers.handler import Task, TaskContext

THUMBNAIL_SIDE_PX = 512
_THUMBNAIL_QUALITY = 88
# What people see marked on a face: both eyes (the middles of the irises), the tip of the nose, the corners of the
# mouth, the chin.
MARKS = (topo.RIGHT_IRIS[0], topo.LEFT_IRIS[0], 1, 61, 291, 152)
# Fast to write and read again; the file is kept once per portrait.
_PNG_LEVEL = 3


def probe_portrait(task: Task, context: TaskContext, models: Models) -> dict[str, Any]:
    """Run the task. The parameter `crop` ({x, y, w, h}, fractions) names a part of the upright picture.

    Returns sizes, faces (fractions of the part), warnings and the crop. Raises `TaskError`.
    """
    crop = crop_of(task.params)
    picture = load_picture(task.inputs["image"])
    whole = picture
    if crop is not None:
        picture = crop.of(whole)
    context.raise_if_cancelled()
    context.progress(0.3, "Looking for faces")
    upright = find_upright(models, picture, context.raise_if_cancelled)
    picture, faces = upright.picture, upright.faces
    warnings = check_portrait(picture, faces, faces[0], rotated=upright.rotated)
    context.progress(0.6, "Saving the portrait")
    height, width = picture.shape[:2]
    _save(task, context, picture)
    if crop is not None:
        _save_whole(task, context, whole)
    context.progress(1.0, "Portrait ready")
    return {
        "width": width,
        "height": height,
        "faces": [_describe(face, width, height) for face in faces],
        "chosen": 0,
        "warnings": warnings,
        "crop": None if crop is None else asdict(crop),
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


def _save_whole(task: Task, context: TaskContext, picture: Image) -> None:
    height, width = picture.shape[:2]
    path = task.output_dir / "whole.png"
    Pil.fromarray(picture).save(path, "PNG", compress_level=_PNG_LEVEL)
    context.artifact("whole", path, media_type="image/png", width=width, height=height)
    context.raise_if_cancelled()


def _describe(face: Face, width: int, height: int) -> dict[str, Any]:
    """A face and its marks as fractions of the picture, clipped to it."""
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
        "marks": [
            {
                "x": round(min(1.0, max(0.0, float(face.points[index, 0]) / width)), 5),
                "y": round(min(1.0, max(0.0, float(face.points[index, 1]) / height)), 5),
            }
            for index in MARKS
        ],
    }
