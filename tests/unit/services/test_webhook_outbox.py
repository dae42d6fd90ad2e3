"""The outbox under a clock that moves by hand and a network that does what it is told."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from backend.models.batch_records import DeliveryRecord
from backend.models.errors import InputError, ProductError
from backend.services.webhook_outbox import MAX_IN_FLIGHT, RETRY_AFTER_S, WebhookOutbox
from backend.services.webhook_sender import Message, Sent, WebhookSender, new_secret, signature
from backend.services.webhook_service import JobWebhookSecret
from backend.storage.db import Transaction
from backend.storage.store import Store
from backend.utils.clock import ManualClock
from backend.utils.ids import new_id
from tests.unit.storage.kit import enqueue, open_test_store

URL = "https://receiver.example/hook"
BUSY = Sent(503, "The receiver answered with status 503.")


class TwinSender:
    """Keeps what is sent. `answers`: how the next ones end, then all are taken. `gate`: closed, it hangs."""

    def __init__(self) -> None:
        self.sent: list[tuple[Message, int]] = []
        self.answers: list[Sent] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.busy = self.most_busy = 0
        self.changed = asyncio.Event()

    def check(self, url: str) -> None:
        raise NotImplementedError

    async def send(self, message: Message, *, at_s: int) -> Sent:
        self.sent.append((message, at_s))
        self.busy += 1
        self.most_busy = max(self.most_busy, self.busy)
        self.changed.set()
        try:
            await self.gate.wait()
        finally:
            self.busy -= 1
        return self.answers.pop(0) if self.answers else Sent(204)

    async def wait_for(self, count: int) -> None:
        while len(self.sent) < count:
            self.changed.clear()
            await asyncio.wait_for(self.changed.wait(), 30)


async def data_of(delivery: DeliveryRecord) -> Mapping[str, Any]:
    return {"job_id": delivery.job_id}


def loudly(error: BaseException) -> None:
    raise AssertionError from error


@asynccontextmanager
async def running(store: Store, clock: ManualClock, sender: TwinSender) -> AsyncIterator[WebhookOutbox]:
    outbox = WebhookOutbox(
        store=store.webhooks,
        sender=sender,
        secrets=JobWebhookSecret(store.settings),
        data_of=data_of,
        clock=clock,
        on_death=loudly,
    )
    await outbox.start()
    try:
        yield outbox
    finally:
        await outbox.stop()


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[tuple[Store, ManualClock, TwinSender]]:
    clock = ManualClock()
    store = await open_test_store(folder, clock)
    try:
        yield store, clock, TwinSender()
    finally:
        await store.close()


async def hooked(store: Store, url: str = URL) -> str:
    hook = await store.webhooks.create(new_id("hook"), url, ["job.cancelled"], new_secret())
    return hook.hook_id


async def end_a_job(store: Store, **changes: Any) -> str:
    job = await enqueue(store, **changes)
    await store.jobs.request_cancel(job.job_id)
    return job.job_id


async def settled(store: Store, hook_id: str, attempts: int) -> DeliveryRecord:
    """The newest message once so many attempts are on record."""
    while True:
        (newest,) = await store.webhooks.log_of_hook(hook_id, limit=1)
        if newest.attempts >= attempts:
            return newest
        await asyncio.sleep(0.005)


async def test_a_message_is_tried_again_after_5_s_5_min_30_min_2_5_and_10_h_and_then_given_up(
    tmp_path: Path,
) -> None:
    assert RETRY_AFTER_S == (5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600)
    async with opened(tmp_path) as (store, clock, sender):
        hook_id = await hooked(store)
        await end_a_job(store)
        sender.answers = [BUSY] * 7
        async with running(store, clock, sender) as outbox:
            for attempt, pause_s in enumerate(RETRY_AFTER_S, start=1):
                found = await settled(store, hook_id, attempt)
                assert (found.state, found.due_at) == ("pending", clock.now_ms() + pause_s * 1000)
                clock.advance(pause_s - 1)
                outbox.wake()
                await asyncio.sleep(0.02)
                assert len(sender.sent) == attempt, "not before its time"
                clock.advance(1)
                outbox.wake()
            found = await settled(store, hook_id, 7)
            assert (found.state, found.due_at, found.last_status) == ("failed", None, 503)
            assert found.finished_at == clock.now_ms()
        assert len({message.webhook_id for message, _ in sender.sent}) == 1
        assert len({message.body for message, _ in sender.sent}) == 1
        stamps = [at_s for _, at_s in sender.sent]
        assert [b - a for a, b in itertools.pairwise(stamps)] == list(RETRY_AFTER_S)


async def test_a_message_that_is_taken_at_last_is_not_sent_again(tmp_path: Path) -> None:
    async with opened(tmp_path) as (store, clock, sender):
        hook_id = await hooked(store)
        job_id = await end_a_job(store)
        sender.answers = [BUSY]
        async with running(store, clock, sender) as outbox:
            await settled(store, hook_id, 1)
            clock.advance(5)
            outbox.wake()
            found = await settled(store, hook_id, 2)
            assert (found.state, found.last_error) == ("delivered", None)
            clock.advance(100_000)
            outbox.wake()
            await asyncio.sleep(0.02)
        assert len(sender.sent) == 2
        assert json.loads(sender.sent[0][0].body)["data"] == {"job_id": job_id}


async def test_a_receiver_that_is_gone_for_good_is_not_asked_again(tmp_path: Path) -> None:
    async with opened(tmp_path) as (store, clock, sender):
        hook_id = await hooked(store)
        await end_a_job(store)
        sender.answers = [Sent(410, "The receiver answered with status 410.", refused_for_good=True)]
        async with running(store, clock, sender):
            assert (await settled(store, hook_id, 1)).state == "failed"


async def test_a_stop_in_the_middle_of_a_message_leaves_it_owed(tmp_path: Path) -> None:
    async with opened(tmp_path) as (store, clock, sender):
        hook_id = await hooked(store)
        await end_a_job(store)
        sender.gate.clear()
        async with running(store, clock, sender):
            await sender.wait_for(1)
        assert (await store.webhooks.log_of_hook(hook_id, limit=1))[0].attempts == 0
        sender.gate.set()
        async with running(store, clock, sender):
            assert (await settled(store, hook_id, 1)).state == "delivered"
        (first, _), (second, _) = sender.sent
        assert first == second


async def test_a_stop_is_heard_also_when_something_wakes_the_outbox_at_that_moment(tmp_path: Path) -> None:
    async with opened(tmp_path) as (store, clock, sender):
        for _ in range(20):
            async with running(store, clock, sender) as outbox:
                await asyncio.sleep(0.01)
                outbox.wake()


async def test_a_receiver_gets_one_message_at_a_time_and_a_slow_one_holds_up_no_other(tmp_path: Path) -> None:
    async with opened(tmp_path) as (store, clock, sender):
        slow = {"url": "https://slow.example/", "events": ["job.cancelled"]}
        for _ in range(3):
            await end_a_job(store, request={"webhook": slow})
        sender.gate.clear()
        async with running(store, clock, sender) as outbox:
            await sender.wait_for(1)
            await hooked(store)
            await end_a_job(store)
            outbox.wake()
            await sender.wait_for(2)
            assert [message.url for message, _ in sender.sent] == [slow["url"], URL]
            sender.gate.set()
            await sender.wait_for(4)
        assert sender.most_busy == 2


async def test_only_so_many_receivers_are_sent_to_at_once(tmp_path: Path) -> None:
    async with opened(tmp_path) as (store, clock, sender):
        for number in range(MAX_IN_FLIGHT + 3):
            await hooked(store, f"{URL}/{number}")
        await end_a_job(store)
        sender.gate.clear()
        async with running(store, clock, sender):
            await sender.wait_for(MAX_IN_FLIGHT)
            await asyncio.sleep(0.02)
            sender.gate.set()
            await sender.wait_for(MAX_IN_FLIGHT + 3)
        assert sender.most_busy == MAX_IN_FLIGHT


async def test_a_receiver_deleted_in_the_middle_of_a_message_harms_nobody(tmp_path: Path) -> None:
    async with opened(tmp_path) as (store, clock, sender):
        hook_id, other = await hooked(store), await hooked(store, f"{URL}/2")
        await end_a_job(store)
        sender.gate.clear()
        async with running(store, clock, sender):
            await sender.wait_for(2)
            await store.webhooks.delete(hook_id)
            sender.gate.set()
            assert (await settled(store, other, 1)).state == "delivered"


async def test_a_job_owes_each_receiver_one_message_in_the_transaction_of_its_end(tmp_path: Path) -> None:
    async with opened(tmp_path) as (store, _, _sender):
        hook_id = await hooked(store)
        own = {"url": "https://own.example/", "events": ["job.failed", "job.cancelled"]}
        job_id = await end_a_job(store, request={"webhook": own})
        await store.jobs.request_cancel(job_id)
        found = await store.webhooks.log_of_job(job_id)
        assert sorted((d.hook_id or "", d.url, d.type) for d in found) == [
            ("", own["url"], "job.cancelled"),
            (hook_id, None, "job.cancelled"),
        ]
        assert len({delivery.message_id for delivery in found}) == 2
        assert await store.webhooks.log_of_job(await end_a_job(store, request={"webhook": None})) != []
        unasked = {"url": "https://own.example/", "events": ["job.failed"]}
        found = await store.webhooks.log_of_job(await end_a_job(store, request={"webhook": unasked}))
        assert [delivery.url for delivery in found] == [None]


def test_the_signature_is_that_of_standard_webhooks() -> None:
    """The example of the reference libraries."""
    message = Message(
        "msg_p5jXN8AQM9LWM0D4loKWxJek", URL, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b'{"test": 2432232314}'
    )
    assert signature(message, 1614265330) == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_secrets_are_long_and_never_the_same() -> None:
    secrets = {new_secret() for _ in range(50)}
    assert len(secrets) == 50
    assert all(len(secret) == len("whsec_") + 44 for secret in secrets)


async def test_whatever_a_receiver_does_is_a_sentence_and_no_exception() -> None:
    sender = WebhookSender(allow_private=True)

    async def odd(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"this is not HTTP\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(odd, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    for url in (f"http://127.0.0.1:{port}/", f"https://127.0.0.1:{port}/", "http://127.0.0.1:1/", "nonsense"):
        sent = await sender.send(Message("msg_1", url, new_secret(), b"{}"), at_s=1)
        assert sent.status is None, url
        assert sent.error, url
        assert not sent.refused_for_good
    server.close()


def test_an_address_inside_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(InputError) as caught:
        WebhookSender(allow_private=False).check("http://127.0.0.1/")
    assert caught.value.code == "fetch_refused"
    assert caught.value.hint


async def test_a_job_does_not_end_without_the_message_that_tells_of_it(tmp_path: Path) -> None:
    async with opened(tmp_path) as (store, _, _sender):
        await hooked(store)
        job = await enqueue(store)

        async def forbid(transaction: Transaction) -> None:
            await transaction.run(
                "CREATE TRIGGER no_room BEFORE INSERT ON webhook_deliveries BEGIN SELECT RAISE(ABORT, 'no room'); END"
            )

        await store.db.write(forbid)
        with pytest.raises(ProductError):
            await store.jobs.request_cancel(job.job_id)
        assert (await store.jobs.get(job.job_id)).state == "queued"
        assert [event.type for event in await store.jobs.events_since(0)] == ["queued"]


async def told_of_nothing(store: Store, hook_id: str) -> None:
    for _ in range(2000):
        if not (await store.webhooks.get(hook_id)).events:
            return
        await asyncio.sleep(0.005)
    raise AssertionError("the receiver is still told")


async def test_a_receiver_that_answers_gone_is_told_of_nothing_more(tmp_path: Path) -> None:
    """Standard Webhooks, "Status codes": 410 asks to disable the endpoint."""
    async with opened(tmp_path) as (store, clock, sender):
        hook_id = await hooked(store)
        for _ in range(3):
            await end_a_job(store)
        sender.answers = [Sent(410, "The receiver answered with status 410.", refused_for_good=True)]
        async with running(store, clock, sender):
            await told_of_nothing(store, hook_id)
            await end_a_job(store)
            log = await store.webhooks.log_of_hook(hook_id, limit=10)
            assert [entry.state.value for entry in log] == ["failed"] * 3, "the fourth end owes nothing"
        assert len(sender.sent) == 1


async def test_a_message_that_cannot_be_made_ends_neither_the_others_nor_the_service(tmp_path: Path) -> None:
    async def broken(delivery: DeliveryRecord) -> Mapping[str, Any]:
        raise RuntimeError("a job that nobody can read")

    async with opened(tmp_path) as (store, clock, sender):
        hook_id = await hooked(store)
        await end_a_job(store)
        outbox = WebhookOutbox(
            store=store.webhooks,
            sender=sender,
            secrets=JobWebhookSecret(store.settings),
            data_of=broken,
            clock=clock,
            on_death=loudly,
        )
        await outbox.start()
        delivery = await settled(store, hook_id, 1)
        await outbox.stop()
        assert (delivery.state.value, sender.sent) == ("pending", [])
        assert delivery.due_at == clock.now_ms() + RETRY_AFTER_S[0] * 1000


async def test_the_secret_of_jobs_is_made_once_however_many_ask_for_it(tmp_path: Path) -> None:
    async with opened(tmp_path) as (store, _, _):
        secret = JobWebhookSecret(store.settings)
        assert len({*await asyncio.gather(*(secret.for_jobs() for _ in range(20)))}) == 1
        replaced = await secret.replace()
        assert await secret.for_jobs() == replaced
