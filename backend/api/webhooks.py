"""`/api/webhooks` and the deliveries of a job. HTTP layer."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from backend.api.deps import ServicesDep
from backend.api.errors import BODY_STATUSES, NOT_FOUND, problems
from backend.models.codes import ErrorCode
from backend.models.job import WebhookTarget
from backend.models.webhook import (
    DeliveryList,
    DeliveryView,
    WebhookCreated,
    WebhookList,
    WebhookSecret,
    WebhookView,
)

router = APIRouter(tags=["webhooks"])

MAX_LOG = 100


@router.post(
    "/webhooks",
    status_code=201,
    responses=problems(ErrorCode.FETCH_REFUSED, ErrorCode.RATE_LIMITED, statuses=BODY_STATUSES),
)
async def create_webhook(services: ServicesDep, response: Response, body: WebhookTarget) -> WebhookCreated:
    """Register a receiver for all jobs. The secret is shown in this answer and nowhere else."""
    created = await services.webhooks.create(body)
    response.headers["Location"] = f"/api/webhooks/{created.hook_id}"
    return created


@router.get("/webhooks")
async def list_webhooks(services: ServicesDep) -> WebhookList:
    """All registered receivers, without their secrets."""
    return await services.webhooks.all()


@router.post("/webhooks/secret")
async def replace_job_webhook_secret(services: ServicesDep) -> WebhookSecret:
    """A new secret for receivers that jobs name themselves; the one before signs nothing any more."""
    return await services.webhooks.replace_job_secret()


@router.get("/webhooks/{hook_id}", responses=problems(statuses=NOT_FOUND))
async def get_webhook(services: ServicesDep, hook_id: str) -> WebhookView:
    return await services.webhooks.get(hook_id)


@router.delete("/webhooks/{hook_id}", status_code=204, responses=problems(statuses=NOT_FOUND))
async def delete_webhook(services: ServicesDep, hook_id: str) -> Response:
    """Forget a receiver, its secret, its log and what it was still owed."""
    await services.webhooks.delete(hook_id)
    return Response(status_code=204)


@router.post("/webhooks/{hook_id}/test", responses=problems(statuses=NOT_FOUND))
async def test_webhook(services: ServicesDep, hook_id: str) -> DeliveryView:
    """Send one test message now and tell what came of it."""
    return await services.webhooks.test(hook_id)


@router.get("/webhooks/{hook_id}/deliveries", responses=problems(statuses=NOT_FOUND))
async def list_deliveries(
    services: ServicesDep, hook_id: str, limit: Annotated[int, Query(ge=1, le=MAX_LOG)] = 20
) -> DeliveryList:
    """The newest messages to a receiver, newest first."""
    return await services.webhooks.deliveries(hook_id, limit=limit)


@router.get("/jobs/{job_id}/deliveries", responses=problems(ErrorCode.JOB_NOT_FOUND))
async def list_deliveries_of_job(services: ServicesDep, job_id: str) -> DeliveryList:
    """The messages about a job, newest first."""
    return await services.webhooks.deliveries_of_job(job_id)
