"""`/api/models`: which models there are, and fetching, pausing, checking and deleting them. HTTP layer."""

from __future__ import annotations

from fastapi import APIRouter

from backend.api.deps import ServicesDep
from backend.api.errors import problems
from backend.models.codes import ErrorCode
from backend.models.model import ModelList, ModelView

router = APIRouter(prefix="/models", tags=["models"])

_LOOKED_UP = problems(ErrorCode.MODEL_NOT_FOUND)
_STARTED = problems(ErrorCode.MODEL_NOT_FOUND, ErrorCode.DISK_FULL, ErrorCode.FETCH_REFUSED)
_STOPPED = problems(ErrorCode.MODEL_NOT_FOUND, ErrorCode.NOT_READY)


@router.get("")
async def list_models(services: ServicesDep) -> ModelList:
    """Every model of the catalogue and how much of it is here."""
    return await services.models.all()


@router.get("/{model_id}", responses=_LOOKED_UP)
async def get_model(services: ServicesDep, model_id: str) -> ModelView:
    return await services.models.get(model_id)


@router.post("/{model_id}/download", status_code=202, responses=_STARTED)
async def download_model(services: ServicesDep, model_id: str) -> ModelView:
    """Fetch what is missing or damaged."""
    return await services.models.download(model_id)


@router.post("/{model_id}/resume", status_code=202, responses=_STARTED)
async def resume_model(services: ServicesDep, model_id: str) -> ModelView:
    """Go on with a download that was paused or that failed."""
    return await services.models.download(model_id)


@router.post("/{model_id}/pause", responses=_STOPPED)
async def pause_model(services: ServicesDep, model_id: str) -> ModelView:
    """Stop fetching; what has come is kept."""
    return await services.models.pause(model_id)


@router.post("/{model_id}/verify", status_code=202, responses=_STOPPED)
async def verify_model(services: ServicesDep, model_id: str) -> ModelView:
    """Hash every file again."""
    return await services.models.verify(model_id)


@router.delete("/{model_id}", responses=_STOPPED)
async def delete_model(services: ServicesDep, model_id: str) -> ModelView:
    """Remove its files."""
    return await services.models.delete(model_id)
