"""`/api/settings`: what may be changed on the page. HTTP layer."""

from __future__ import annotations

from fastapi import APIRouter

from backend.api.deps import OwnerDep, ServicesDep
from backend.api.errors import BODY_STATUSES, problems
from backend.models.codes import ErrorCode
from backend.models.settings import SettingList, SettingsPatch

router = APIRouter(prefix="/settings", tags=["system"])


@router.get("")
def list_settings(services: ServicesDep) -> SettingList:
    """All settings of the page with where their value comes from; secrets are never shown."""
    return services.admin.settings.all()


@router.patch("", responses=problems(ErrorCode.UNAUTHORIZED, statuses=(*BODY_STATUSES, 409)))
async def change_settings(services: ServicesDep, _owner: OwnerDep, body: SettingsPatch) -> SettingList:
    """Change some settings, all or none."""
    return await services.admin.settings.change(body.values)
