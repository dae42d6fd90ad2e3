"""`/api/avatars`. HTTP layer."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Response, UploadFile
from fastapi.responses import FileResponse
from pydantic import ValidationError

from backend.api.deps import ServicesDep
from backend.api.downloads import send_file
from backend.api.errors import BODY_STATUSES, problems
from backend.api.uploads import chunks_of
from backend.api.voices import MAX_NAME_CHARS, LibraryCursor, LibraryLimit
from backend.models.codes import ErrorCode
from backend.models.errors import FieldError, RequestError
from backend.models.library import AvatarList, AvatarPatch, AvatarView
from backend.models.speakers import FaceBox
from backend.services.library_page import MAX_LIBRARY_PAGE

router = APIRouter(prefix="/avatars", tags=["avatars"])

# Pictures never change under their id.
_CACHE_FOR_EVER = {"Cache-Control": "private, max-age=31536000, immutable"}

# Four fractions with all the digits that a computer gives them.
MAX_CROP_CHARS = 100

_MISSING = "Delete the portrait and upload it again."
_LOOKED_UP = problems(ErrorCode.AVATAR_NOT_FOUND)


def _picture(*kinds: str) -> dict[int | str, dict[str, Any]]:
    return {
        200: {"content": {kind: {} for kind in kinds}},
        206: {"content": {kind: {} for kind in (*kinds, "multipart/byteranges")}},
        **problems(ErrorCode.AVATAR_NOT_FOUND, ErrorCode.GONE, statuses=(416,)),
    }


_LOOKED_AT = (
    ErrorCode.IMAGE_UNREADABLE,
    ErrorCode.FACE_NOT_FOUND,
    ErrorCode.FACE_TOO_SMALL,
    ErrorCode.TIMEOUT,
    ErrorCode.ENGINE_UNAVAILABLE,
)


@router.post("", status_code=201, responses=problems(*_LOOKED_AT, statuses=BODY_STATUSES))
async def create_avatar(
    services: ServicesDep,
    response: Response,
    image_file: Annotated[UploadFile, File(description="A portrait: any picture a phone or the web gives")],
    name: Annotated[str, Form(max_length=MAX_NAME_CHARS)] = "",
    crop: Annotated[str, Form(max_length=MAX_CROP_CHARS)] = "",
) -> AvatarView:
    """Store a portrait after finding the face in it."""
    shown = name or (image_file.filename or "")[:MAX_NAME_CHARS]
    avatar = await services.avatars.create(chunks_of(image_file), name=shown, crop=_crop(crop))
    response.headers["Location"] = f"/api/avatars/{avatar.avatar_id}"
    return avatar


@router.get("")
async def list_avatars(
    services: ServicesDep, limit: LibraryLimit = MAX_LIBRARY_PAGE, cursor: LibraryCursor = None
) -> AvatarList:
    """Built-in portraits first, then the caller's own, newest first."""
    return await services.avatars.page(limit=limit, cursor=cursor)


@router.get("/{avatar_id}", responses=_LOOKED_UP)
async def get_avatar(services: ServicesDep, avatar_id: str) -> AvatarView:
    return await services.avatars.get(avatar_id)


@router.patch("/{avatar_id}", responses=problems(ErrorCode.AVATAR_NOT_FOUND, statuses=BODY_STATUSES))
async def rename_avatar(services: ServicesDep, avatar_id: str, body: AvatarPatch) -> AvatarView:
    return await services.avatars.rename(avatar_id, body.name)


@router.post(
    "/{avatar_id}/crop",
    status_code=201,
    responses=problems(*_LOOKED_AT, ErrorCode.AVATAR_NOT_FOUND, ErrorCode.GONE, statuses=BODY_STATUSES),
)
async def crop_avatar(services: ServicesDep, response: Response, avatar_id: str, body: FaceBox) -> AvatarView:
    """A new portrait from another part of the same picture."""
    avatar = await services.avatars.crop(avatar_id, body)
    response.headers["Location"] = f"/api/avatars/{avatar.avatar_id}"
    return avatar


@router.get("/{avatar_id}/image", response_class=FileResponse, responses=_picture("image/png"))
async def get_avatar_image(services: ServicesDep, avatar_id: str, original: bool = False) -> Response:
    avatars = services.avatars
    path, media_type = await (avatars.original(avatar_id) if original else avatars.image(avatar_id))
    return await send_file(path, media_type=media_type, hint=_MISSING, headers=_CACHE_FOR_EVER)


@router.get("/{avatar_id}/thumbnail", response_class=FileResponse, responses=_picture("image/jpeg"))
async def get_avatar_thumbnail(services: ServicesDep, avatar_id: str) -> Response:
    path, media_type = await services.avatars.thumbnail(avatar_id)
    return await send_file(path, media_type=media_type, hint=_MISSING, headers=_CACHE_FOR_EVER)


@router.delete("/{avatar_id}", status_code=204, responses=_LOOKED_UP)
async def delete_avatar(services: ServicesDep, avatar_id: str) -> Response:
    await services.avatars.delete(avatar_id)
    return Response(status_code=204)


def _crop(text: str) -> FaceBox | None:
    """`x,y,w,h` of the form; blank: the whole picture. Raises `validation_failed`."""
    if not text.strip():
        return None
    try:
        x, y, w, h = (float(part) for part in text.split(","))
        return FaceBox(x=x, y=y, w=w, h=h)
    except (ValueError, ValidationError) as error:
        message = "crop must be x,y,w,h: four fractions of the picture, inside of it"
        raise RequestError(
            ErrorCode.VALIDATION_FAILED,
            f"The request is not valid. {message}",
            hint="Mend the fields listed in `errors` and send it again.",
            fields=(FieldError("crop", message),),
        ) from error
