"""`/api/exports`: many videos as one ZIP. HTTP layer."""

from __future__ import annotations

from urllib.parse import quote

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from backend.api.deps import ServicesDep
from backend.api.errors import BODY_STATUSES, problems
from backend.models.codes import ErrorCode
from backend.models.export import ExportRequest

router = APIRouter(prefix="/exports", tags=["library"])

ZIP_TYPE = "application/zip"


@router.post(
    "",
    response_class=StreamingResponse,
    responses={
        200: {"content": {ZIP_TYPE: {}}},
        **problems(ErrorCode.JOB_NOT_FOUND, ErrorCode.GONE, ErrorCode.NOT_READY, statuses=BODY_STATUSES),
    },
)
async def export_jobs(services: ServicesDep, body: ExportRequest) -> StreamingResponse:
    """Videos, and what belongs to them, as a ZIP that is made while it is sent."""
    export = await services.library.exports.open(body)
    headers = {
        "Content-Length": str(export.size_bytes),
        # RFC 5987: a plain name for old programs, the real one for the others.
        "Content-Disposition": f"attachment; filename=\"export.zip\"; filename*=UTF-8''{quote(export.file_name, safe='')}",
        "Cache-Control": "no-store",
    }
    return StreamingResponse(export.pieces, media_type=ZIP_TYPE, headers=headers)
