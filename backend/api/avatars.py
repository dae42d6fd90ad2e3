"""`/api/avatars`. HTTP layer."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Response, UploadFile
from fastapi.responses import FileResponse

from backend.api.deps import ServicesDep
from backend.api.downloads import send_file
from backend.api.errors import BODY_STATUSES, problems
from backend.api.uploads import chunks_of
from backend.api.voices import MAX_NAME_CHARS
from backend.models.codes import ErrorCode
from backend.models.library import AvatarList, AvatarView

router = APIRouter(prefix="/avatars", tags=["avatars"])

# Pictures never change under their id.
_CACHE_FOR_EVER = {"Cache-Control": "private, max-age=31536000, immutable"}

_MISSING = "Delete the portrait and upload it again."
_LOOKED_UP = problems(ErrorCode.AVATAR_NOT_FOUND)


def _picture(*kinds: str) -> dict[int | str, dict[str, Any]]:
    return {
        200: {"content": {kind: {} for kind in kinds}},
        206: {"content": {kind: {} for kind in (*kinds, "multipart/byteranges")}},
        **problems(ErrorCode.AVATAR_NOT_FOUND, ErrorCode.GONE, statuses=(416,)),
    }


@router.post(
    "",
    status_code=201,
    responses=problems(
        ErrorCode.IMAGE_UNREADABLE,
        ErrorCode.FACE_NOT_FOUND,
        ErrorCode.FACE_TOO_SMALL,
        ErrorCode.TIMEOUT,
        ErrorCode.ENGINE_UNAVAILABLE,
        statuses=BODY_STATUSES,
    ),
)
async def create_avatar(
    services: ServicesDep,
    response: Response,
    image_file: Annotated[UploadFile, File(description="A portrait: any picture a phone or the web gives")],
    name: Annotated[str, Form(max_length=MAX_NAME_CHARS)] = "",
) -> AvatarView:
    """Store a portrait after finding the face in it."""
    shown = name or (image_file.filename or "")[:MAX_NAME_CHARS]
    avatar = await services.avatars.create(chunks_of(image_file), name=shown)
    response.headers["Location"] = f"/api/avatars/{avatar.avatar_id}"
    return avatar


@router.get("")
async def list_avatars(services: ServicesDep) -> AvatarList:
    return AvatarList(data=await services.avatars.all())


@router.get("/{avatar_id}", responses=_LOOKED_UP)
async def get_avatar(services: ServicesDep, avatar_id: str) -> AvatarView:
    return await services.avatars.get(avatar_id)


@router.get("/{avatar_id}/image", response_class=FileResponse, responses=_picture("image/png"))
async def get_avatar_image(services: ServicesDep, avatar_id: str) -> Response:
    path, media_type = await services.avatars.image(avatar_id)
    return await send_file(path, media_type=media_type, hint=_MISSING, headers=_CACHE_FOR_EVER)


@router.get("/{avatar_id}/thumbnail", response_class=FileResponse, responses=_picture("image/jpeg"))
async def get_avatar_thumbnail(services: ServicesDep, avatar_id: str) -> Response:
    path, media_type = await services.avatars.thumbnail(avatar_id)
    return await send_file(path, media_type=media_type, hint=_MISSING, headers=_CACHE_FOR_EVER)


@router.delete("/{avatar_id}", status_code=204, responses=_LOOKED_UP)
async def delete_avatar(services: ServicesDep, avatar_id: str) -> Response:
    await services.avatars.delete(avatar_id)
    return Response(status_code=204)
