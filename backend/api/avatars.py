"""`/api/avatars`. HTTP layer."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, File, Form, Response, UploadFile
from fastapi.responses import FileResponse

from backend.api.deps import ServicesDep
from backend.api.uploads import chunks_of
from backend.api.voices import MAX_NAME_CHARS
from backend.models.library import AvatarList, AvatarView

router = APIRouter(prefix="/avatars", tags=["avatars"])

# Pictures never change under their id.
_CACHE_FOR_EVER = {"Cache-Control": "private, max-age=31536000, immutable"}


@router.post("", status_code=201)
async def create_avatar(
    services: ServicesDep,
    response: Response,
    image_file: Annotated[UploadFile, File(description="A portrait: any picture a phone or the web gives")],
    name: Annotated[str, Form(max_length=MAX_NAME_CHARS)] = "",
) -> AvatarView:
    """Store a portrait after finding the face in it."""
    avatar = await services.avatars.create(chunks_of(image_file), name=name or (image_file.filename or ""))
    response.headers["Location"] = f"/api/avatars/{avatar.avatar_id}"
    return avatar


@router.get("")
async def list_avatars(services: ServicesDep) -> AvatarList:
    return AvatarList(data=await services.avatars.all())


@router.get("/{avatar_id}")
async def get_avatar(services: ServicesDep, avatar_id: str) -> AvatarView:
    return await services.avatars.get(avatar_id)


@router.get("/{avatar_id}/image", response_class=FileResponse)
async def get_avatar_image(services: ServicesDep, avatar_id: str) -> FileResponse:
    path, media_type = await services.avatars.image(avatar_id)
    return FileResponse(path, media_type=media_type, headers=_CACHE_FOR_EVER)


@router.get("/{avatar_id}/thumbnail", response_class=FileResponse)
async def get_avatar_thumbnail(services: ServicesDep, avatar_id: str) -> FileResponse:
    path, media_type = await services.avatars.thumbnail(avatar_id)
    return FileResponse(path, media_type=media_type, headers=_CACHE_FOR_EVER)


@router.delete("/{avatar_id}", status_code=204)
async def delete_avatar(services: ServicesDep, avatar_id: str) -> Response:
    await services.avatars.delete(avatar_id)
    return Response(status_code=204)
