"""`/api/support-bundle`: one file for whoever helps. HTTP layer."""

from __future__ import annotations

from datetime import datetime, timezone

from fastapi import APIRouter, Response

from backend.api.deps import ServicesDep

router = APIRouter(tags=["system"])


@router.get("/support-bundle", response_class=Response, responses={200: {"content": {"application/zip": {}}}})
async def get_support_bundle(services: ServicesDep) -> Response:
    """Logs, versions, the system check and settings, without secrets and without anything that people made."""
    packed = await services.admin.bundle.pack()
    day = datetime.now(tz=timezone.utc).strftime("%Y%m%d-%H%M")
    headers = {
        "Content-Disposition": f'attachment; filename="all-in-one-support-{day}.zip"',
        "Cache-Control": "no-store",
    }
    return Response(packed, media_type="application/zip", headers=headers)
