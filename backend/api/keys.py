"""`/api/keys`: keys for programs. HTTP layer."""

from __future__ import annotations

from fastapi import APIRouter, Response

from backend.api.deps import OwnerDep, ServicesDep
from backend.api.errors import BODY_STATUSES, NOT_FOUND, problems
from backend.models.access_key import KeyCreate, KeyCreated, KeyList
from backend.models.codes import ErrorCode

router = APIRouter(prefix="/keys", tags=["system"])


@router.get("")
def list_keys(services: ServicesDep, _owner: OwnerDep) -> KeyList:
    """All keys that were made on the page; never the keys themselves."""
    return services.admin.keys.all()


@router.post("", status_code=201, responses=problems(ErrorCode.RATE_LIMITED, statuses=BODY_STATUSES))
async def create_key(services: ServicesDep, _owner: OwnerDep, body: KeyCreate) -> KeyCreated:
    """A new key, told only in this answer."""
    return await services.admin.keys.create(body.name)


@router.delete("/{key_id}", status_code=204, responses=problems(statuses=NOT_FOUND))
async def delete_key(services: ServicesDep, _owner: OwnerDep, key_id: str) -> Response:
    """Refuse a key from now on."""
    await services.admin.keys.delete(key_id)
    return Response(status_code=204)
