"""`/api/doctor`: the system check and what it can mend. HTTP layer."""

from __future__ import annotations

from fastapi import APIRouter

from backend.api.deps import ServicesDep
from backend.api.errors import BODY_STATUSES, NOT_FOUND, problems
from backend.models.codes import ErrorCode
from backend.models.doctor import DoctorFix, DoctorFixed, DoctorReport

router = APIRouter(prefix="/doctor", tags=["system"])


@router.post("")
async def check_system(services: ServicesDep) -> DoctorReport:
    """Look at everything that can be wrong; takes seconds."""
    return await services.admin.doctor.check()


@router.post(
    "/fix",
    responses=problems(ErrorCode.NOT_READY, ErrorCode.FETCH_REFUSED, statuses=(*BODY_STATUSES, *NOT_FOUND)),
)
async def fix_system(services: ServicesDep, body: DoctorFix) -> DoctorFixed:
    """Mend what a check finds now."""
    return await services.admin.doctor.fix(body.id)
