"""Webhooks from the end of a job to a receiver on loopback, by the rules of Standard Webhooks."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.receiver import Received, receiving
from tests.support.studio import Studio, running_studio

# A receiver on loopback is what the setting is for.
ALLOW = {"webhook_allow_private": True}


async def register(studio: Studio, url: str, **more: Any) -> dict[str, Any]:
    answer = await studio.http.post("/api/webhooks", json={"url": url, **more})
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"/api/webhooks/{body['hook_id']}"
    return body


async def log(studio: Studio, path: str) -> list[dict[str, Any]]:
    answer = await studio.http.get(f"{path}/deliveries")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


def is_signed(request: Received, secret: str) -> bool:
    """As a receiver checks it, written anew from the specification."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    head = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}."
    expected = base64.b64encode(hmac.digest(key, head.encode() + request.body, hashlib.sha256)).decode()
    return request.headers["webhook-signature"] == f"v1,{expected}"


async def test_the_end_of_a_job_reaches_a_registered_receiver_signed(tmp_path: Path) -> None:
    async with receiving() as receiver, running_studio(tmp_path, **ALLOW) as studio:
        hook = await register(studio, receiver.url)
        job_id = await studio.submit(metadata={"order": 7})
        view = await studio.wait_for(job_id)
        request = await receiver.next()
        assert is_signed(request, hook["secret"])
        assert not is_signed(request, "whsec_" + base64.b64encode(b"another secret").decode())
        message = request.json()
        assert (message["type"], message["data"]["job_id"]) == ("job.completed", job_id)
        assert message["data"] == view
        assert request.headers["content-type"] == "application/json"
        (delivery,) = await wait_delivered(studio, f"/api/webhooks/{hook['hook_id']}")
        assert delivery["webhook_id"] == request.headers["webhook-id"]
        assert (delivery["status"], delivery["attempts"], delivery["last_status"]) == ("delivered", 1, 204)
        assert await log(studio, f"/api/jobs/{job_id}") == [delivery]


async def wait_delivered(studio: Studio, path: str) -> list[dict[str, Any]]:
    """The log once nothing in it was never tried: the receiver hears of a message before the log does."""
    for _ in range(500):
        found = await log(studio, path)
        if found and all(item["attempts"] for item in found):
            return found
        await asyncio.sleep(0.01)
    raise AssertionError(found)


async def test_a_receiver_hears_only_of_the_ends_it_asked_for(tmp_path: Path) -> None:
    async with receiving() as failures, receiving() as ends, running_studio(tmp_path, **ALLOW) as studio:
        await register(studio, failures.url, events=["job.failed"])
        await register(studio, ends.url, events=["job.completed", "job.cancelled"])
        await studio.wait_for(await studio.submit())
        failed = await studio.submit(preferred_engine="wan2gp")
        await studio.wait_for(failed)
        await studio.http.post("/api/queue/pause")
        cancelled = await studio.submit()
        await studio.http.post(f"/api/jobs/{cancelled}/cancel")
        assert (await failures.next()).json()["data"]["job_id"] == failed
        assert [(await ends.next()).json()["type"] for _ in range(2)] == ["job.completed", "job.cancelled"]
        assert failures.received.empty()


async def test_a_job_can_name_its_own_receiver(tmp_path: Path) -> None:
    async with receiving() as receiver, running_studio(tmp_path, **ALLOW) as studio:
        secret = (await studio.http.post("/api/webhooks/secret")).json()["secret"]
        job_id = await studio.submit(webhook={"url": receiver.url})
        await studio.wait_for(job_id)
        request = await receiver.next()
        assert is_signed(request, secret)
        assert request.json()["data"]["job_id"] == job_id
        (delivery,) = await wait_delivered(studio, f"/api/jobs/{job_id}")
        assert (delivery["hook_id"], delivery["status"]) == (None, "delivered")
        retried = (await studio.http.post(f"/api/jobs/{job_id}/retry")).json()["job_id"]
        assert (await receiver.next()).json()["data"]["retry_of"] == job_id
        assert retried != job_id
        newer = (await studio.http.post("/api/webhooks/secret")).json()["secret"]
        await studio.wait_for(await studio.submit(webhook={"url": receiver.url}))
        assert is_signed(await receiver.next(), newer)


async def test_what_could_not_be_delivered_before_a_stop_is_delivered_after_the_start(tmp_path: Path) -> None:
    async with receiving(hold=True) as receiver:
        async with running_studio(tmp_path, **ALLOW) as studio:
            hook = await register(studio, receiver.url)
            await studio.wait_for(await studio.submit())
            first = await receiver.next()  # it hears the message and says nothing; the service stops
        receiver.hold = False
        async with running_studio(tmp_path, **ALLOW) as studio:
            again = await receiver.next()
            assert again.headers["webhook-id"] == first.headers["webhook-id"]
            assert again.body == first.body
            assert is_signed(again, hook["secret"])
            (delivery,) = await wait_delivered(studio, f"/api/webhooks/{hook['hook_id']}")
            assert delivery["status"] == "delivered"


async def test_redirects_are_not_followed_and_long_answers_not_read(tmp_path: Path) -> None:
    async with receiving() as elsewhere, running_studio(tmp_path, **ALLOW) as studio:
        async with receiving(
            answers=["307 Temporary Redirect"], headers={"Location": elsewhere.url}
        ) as receiver:
            hook = await register(studio, receiver.url)
            tried = (await studio.http.post(f"/api/webhooks/{hook['hook_id']}/test")).json()
            assert (tried["status"], tried["last_status"]) == ("failed", 307)
            assert elsewhere.received.empty()
        async with receiving(
            answers=["200 OK"], headers={"Content-Length": "99999999"}, body=b"x" * 9000
        ) as receiver:
            hook = await register(studio, receiver.url)
            tried = (await studio.http.post(f"/api/webhooks/{hook['hook_id']}/test")).json()
            assert (tried["status"], tried["last_status"]) == ("delivered", 200)


async def test_a_test_message_is_sent_at_once_and_not_repeated(tmp_path: Path) -> None:
    broken = receiving(answers=["500 Internal Server Error"])
    async with broken as receiver, running_studio(tmp_path, **ALLOW) as studio:
        hook = await register(studio, receiver.url)
        path = f"/api/webhooks/{hook['hook_id']}"
        tried = (await studio.http.post(f"{path}/test")).json()
        assert (tried["type"], tried["status"], tried["attempts"]) == ("webhook.test", "failed", 1)
        assert tried["last_error"] == "The receiver answered with status 500."
        assert is_signed(await receiver.next(), hook["secret"])
        again = (await studio.http.post(f"{path}/test")).json()
        assert (again["status"], again["job_id"]) == ("delivered", None)
        assert [item["webhook_id"] for item in await log(studio, path)] == [
            again["webhook_id"],
            tried["webhook_id"],
        ]


async def test_a_receiver_that_is_not_there_is_tried_again_later(tmp_path: Path) -> None:
    async with running_studio(tmp_path, **ALLOW) as studio:
        async with receiving() as receiver:
            hook = await register(studio, receiver.url)
        await studio.wait_for(await studio.submit())
        (delivery,) = await wait_delivered(studio, f"/api/webhooks/{hook['hook_id']}")
        assert delivery["status"] == "pending"
        assert delivery["last_error"] == "The receiver could not be reached."
        assert delivery["next_attempt_at"] > delivery["created_at"]


async def test_the_secret_is_shown_once_and_never_again(tmp_path: Path) -> None:
    async with receiving() as receiver, running_studio(tmp_path, **ALLOW) as studio:
        hook = await register(studio, receiver.url)
        job_secret = (await studio.http.post("/api/webhooks/secret")).json()["secret"]
        job_id = await studio.submit(webhook={"url": receiver.url})
        await studio.wait_for(job_id)
        await wait_delivered(studio, f"/api/webhooks/{hook['hook_id']}")
        for path in ("/api/webhooks", f"/api/webhooks/{hook['hook_id']}", f"/api/jobs/{job_id}", "/api/jobs"):
            text = (await studio.http.get(path)).text
            assert "whsec_" not in text, path
            assert "secret" not in text, path
        view = (await studio.http.get(f"/api/webhooks/{hook['hook_id']}")).json()
        assert view == {name: hook[name] for name in ("hook_id", "url", "events", "created_at")}
    logs = "".join(path.read_text(encoding="utf-8") for path in (tmp_path / "logs").iterdir())
    assert "webhook msg_" in logs
    for hidden in (hook["secret"], job_secret, "s3cret", "127.0.0.1:"):
        assert hidden not in logs, hidden


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9/x",
        "http://localhost/x",
        "http://[::1]/x",
        "http://10.0.0.7/x",
        "http://169.254.169.254/latest",
        "http://2130706433/",
        "file:///etc/passwd",
        "ftp://example.com/x",
        "https://user:password@example.com/",
        "nonsense",
    ],
)
async def test_a_receiver_inside_is_refused_unless_the_setting_allows_it(tmp_path: Path, url: str) -> None:
    async with running_studio(tmp_path) as studio:
        registered = await studio.http.post("/api/webhooks", json={"url": url})
        named = await studio.http.post(
            "/api/jobs",
            json={
                "voice_id": "voice_builtinafheart",
                "avatar_url": "avatar_builtinaria",
                "script_input": "Hi",
                "webhook": {"url": url},
            },
        )
        for answer in (registered, named):
            assert (answer.status_code, answer.json()["code"]) == (422, "fetch_refused"), answer.text
            assert "WEBHOOK_ALLOW_PRIVATE" in answer.json()["hint"]


async def test_a_name_that_leads_inside_is_refused_when_it_is_sent_to(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        hook = await register(studio, "http://example.invalid/x")

        async def leads_inside(host: str, port: int) -> list[str]:
            assert (host, port) == ("example.invalid", 80)
            return ["127.0.0.1"]

        services = studio.http._transport.app.state.services  # type: ignore[attr-defined]
        services.webhooks._sender._guard._resolver = leads_inside
        tried = (await studio.http.post(f"/api/webhooks/{hook['hook_id']}/test")).json()
        assert tried["status"] == "failed"
        assert "private network" in tried["last_error"]


async def test_a_deleted_receiver_is_owed_nothing_and_unknown_ids_are_404(tmp_path: Path) -> None:
    async with receiving() as receiver, running_studio(tmp_path, **ALLOW) as studio:
        hook = await register(studio, receiver.url)
        path = f"/api/webhooks/{hook['hook_id']}"
        assert (await studio.http.delete(path)).status_code == 204
        await studio.wait_for(await studio.submit())
        assert (await studio.http.get("/api/webhooks")).json() == {"data": []}
        for method, address in (
            ("GET", path),
            ("DELETE", path),
            ("POST", f"{path}/test"),
            ("GET", f"{path}/deliveries"),
            ("GET", "/api/webhooks/job_zzzzzzzz1"),
        ):
            answer = await studio.http.request(method, address)
            assert (answer.status_code, answer.json()["code"]) == (404, "validation_failed"), address
        assert receiver.received.empty()


async def test_the_number_of_receivers_is_bounded(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        for number in range(20):
            await register(studio, f"https://example.com/{number}")
        answer = await studio.http.post("/api/webhooks", json={"url": "https://example.com/x"})
        assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")


async def test_a_webhook_without_a_known_event_is_refused(tmp_path: Path) -> None:
    async with running_studio(tmp_path) as studio:
        for events in ([], ["job.exploded"], ["job.failed"] * 4):
            body = json.dumps({"url": "https://example.com/x", "events": events})
            answer = await studio.http.post(
                "/api/webhooks", content=body, headers={"Content-Type": "application/json"}
            )
            assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
