"""Which writing models are there: on this computer, at the user's address, or our own."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from backend.models.codes import ErrorCode
from backend.models.errors import InputError
from backend.services.script_endpoints import KEPT_S, MISSING_FIX, LocalModel, Place, ScriptApi, ScriptModels
from backend.services.script_wiring import local_model
from backend.utils.clock import ManualClock
from backend.utils.config import BUNDLE_DIR
from tests.support.chat_server import ChatHost, chat_host

NOBODY = "http://127.0.0.1:9/v1"


def models(
    *hosts: ChatHost,
    api: ScriptApi | None = None,
    local: LocalModel | None = None,
    clock: ManualClock | None = None,
    owner: str | None = None,
) -> ScriptModels:
    places = [Place("ollama", "Ollama", host.url, "ollama pull", owner) for host in hosts]
    return ScriptModels(api or ScriptApi(), local=local, clock=clock or ManualClock(), places=places)


def a_local_model(folder: Path, size: int = 5) -> LocalModel:
    return LocalModel("script-qwen", "Qwen", folder / "q.gguf", size)


def ids(found: Any) -> list[str]:
    return [model.id for model in found]


async def test_models_that_do_not_write_are_left_out() -> None:
    names = [
        "nomic-embed-text",
        "qwen3:4b",
        "bge-m3",
        "whisper-1",
        "tts-1",
        "text-embedding-3-small",
        "qwen3:4b",
        "",
    ]
    entries: list[Any] = [{"id": name} for name in names]
    async with chat_host(models=[*entries, {"id": "a\nb"}, {"id": "x" * 500}, {"no": "id"}]) as host:
        assert ids(await models(host).all()) == ["ollama/qwen3:4b"]


@pytest.mark.parametrize("answer", [None, []])
async def test_a_server_without_a_model_says_how_to_get_one(answer: Any) -> None:
    async with chat_host() as host:
        host.models = answer
        (found,) = (await models(host).listed()).data
        assert (found.id, found.ready, found.fix) == ("ollama", False, "ollama pull")
        with pytest.raises(InputError) as caught:
            await models(host).choose()
    assert caught.value.code is ErrorCode.SCRIPT_MODEL_MISSING
    assert caught.value.hint == MISSING_FIX
    for way in ("Ollama", "SCRIPT_API_URL", "/api/models/script-qwen/download"):
        assert way in MISSING_FIX


@pytest.mark.parametrize("answer", ["text", 7, {"a": 1}, [1, "x", None]])
async def test_an_answer_that_is_no_list_of_models_is_nobody(answer: Any) -> None:
    async with chat_host() as host:
        host.models = answer
        assert [model.is_ready for model in await models(host).all()] in ([], [False])


async def test_on_a_port_that_is_anybodys_the_server_must_say_who_it_is() -> None:
    async with chat_host(models=[{"id": "index.html", "owned_by": "somebody"}]) as host:
        assert await models(host, owner="llamacpp").all() == ()
        host.models = [{"id": "my-model", "owned_by": "llamacpp"}]
        assert ids(await models(host, owner="llamacpp").all()) == ["ollama/my-model"]


@pytest.mark.parametrize("path", ["/home/me/models/q.gguf", "C:\\Users\\me\\q.gguf", "q.gguf"])
async def test_where_a_file_lies_on_this_computer_is_not_told(path: str) -> None:
    async with chat_host(models=[{"id": path, "owned_by": "llamacpp"}]) as host:
        places = [Place("llamacpp", "llama.cpp", host.url, "x", "llamacpp")]
        looking = ScriptModels(ScriptApi(), local=None, clock=ManualClock(), places=places)
        assert ids(await looking.all()) == ["llamacpp/q.gguf"]


async def test_all_are_looked_at_together_and_one_that_hangs_hides_no_other() -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    hanging = await asyncio.start_server(hang, "127.0.0.1", 0)
    port = hanging.sockets[0].getsockname()[1]
    async with chat_host() as host:
        places = [
            Place("lmstudio", "LM Studio", f"http://127.0.0.1:{port}/v1", "x"),
            Place("ollama", "Ollama", host.url, "x"),
            Place("llamacpp", "llama.cpp", NOBODY, "x"),
        ]
        found = await ScriptModels(ScriptApi(), local=None, clock=ManualClock(), places=places).all()
    hanging.close()
    assert ids(found) == ["ollama/tiny-chat"]


async def test_what_was_found_is_kept_for_some_seconds_and_asked_for_once() -> None:
    clock = ManualClock()
    async with chat_host() as host:
        looking = models(host, clock=clock)
        await asyncio.gather(looking.all(), looking.all(), looking.all())
        assert len(host.seen) == 1
        clock.advance(KEPT_S)
        await looking.all()
        assert len(host.seen) == 2


async def test_discovery_can_be_switched_off() -> None:
    async with chat_host() as host:
        assert await models(host, api=ScriptApi(discovery=False)).all() == ()
        assert host.seen == []


async def test_the_users_own_address_comes_first_and_alone_gets_the_key() -> None:
    async with chat_host(models=[{"id": "a"}, {"id": "b"}]) as own, chat_host() as found:
        looking = models(found, api=ScriptApi(own.url, "sk-1", "b"))
        listed = await looking.listed()
        assert [model.id for model in listed.data] == ["custom/b", "custom/a", "ollama/tiny-chat"]
        assert listed.chosen == "custom/b"
        assert own.seen[0].headers["authorization"] == "Bearer sk-1"
        assert "authorization" not in found.seen[0].headers


@pytest.mark.parametrize(
    ("status", "named", "ready", "words"),
    [
        (401, "m", False, "refused the key"),
        (403, None, False, "refused the key"),
        (404, "m", True, None),
        (404, None, False, "does not list"),
        (500, "m", True, None),
    ],
)
async def test_an_address_that_lists_nothing_is_believed_when_a_model_is_named(
    status: int, named: str | None, ready: bool, words: str | None
) -> None:
    async with chat_host() as host:
        host.models_status = status
        (found,) = await models(api=ScriptApi(host.url, None, named)).all()
        assert found.is_ready is ready
        assert (words or "") in (found.reason or "")
        assert bool(found.fix) is not ready


async def test_an_address_with_nobody_says_so_and_others_are_used() -> None:
    async with chat_host() as host:
        looking = models(host, api=ScriptApi(NOBODY))
        listed = await looking.listed()
        assert [model.ready for model in listed.data] == [False, True]
        assert listed.chosen == "ollama/tiny-chat"
    with pytest.raises(InputError, match=r"127\.0\.0\.1 cannot be reached"):
        await models(api=ScriptApi(NOBODY)).choose()


async def test_a_model_is_chosen_by_id_or_by_name() -> None:
    async with chat_host(models=[{"id": "a"}, {"id": "b"}]) as host:
        looking = models(host, api=ScriptApi(model="b"))
        assert (await looking.choose()).name == "b"
        assert (await looking.choose("a")).name == "a"
        assert (await looking.choose("ollama/a")).name == "a"
        with pytest.raises(InputError, match="no writing model of that name") as caught:
            await looking.choose("c")
    assert caught.value.code is ErrorCode.SCRIPT_MODEL_MISSING


async def test_a_model_of_a_cloud_is_asked_only_when_it_is_named() -> None:
    async with chat_host(models=[{"id": "big:120b-cloud"}, {"id": "other:cloud"}, {"id": "small"}]) as host:
        listed = await models(host).listed()
        assert len(listed.data) == 3
        assert listed.chosen == "ollama/small"
        assert (await models(host).choose("big:120b-cloud")).name == "big:120b-cloud"
        assert (await models(host, api=ScriptApi(model="other:cloud")).choose()).name == "other:cloud"
        host.models = [{"id": "big:120b-cloud"}]
        with pytest.raises(InputError):
            await models(host).choose()


async def test_the_small_model_is_ready_when_its_file_is_whole(tmp_path: Path) -> None:
    local = a_local_model(tmp_path)
    looking = models(local=local)
    (found,) = (await looking.listed()).data
    assert (found.id, found.ready) == ("local/script-qwen", False)
    assert "/api/models/script-qwen/download" in (found.fix or "")
    with pytest.raises(InputError, match="is not downloaded"):
        await looking.choose("script-qwen")
    local.path.write_bytes(b"GG")
    assert (await looking.listed()).chosen is None
    local.path.write_bytes(b"GGUF!")
    # At once, although what servers there are is remembered.
    assert (await looking.listed()).chosen == "local/script-qwen"
    assert (await looking.choose()).path == local.path


def test_the_small_model_is_the_one_of_the_catalogue(tmp_path: Path) -> None:
    local = local_model(BUNDLE_DIR / "assets" / "catalogue", tmp_path)
    assert local.path == tmp_path / "script-qwen" / "qwen2.5-1.5b-instruct-q4_k_m.gguf"
    assert local.bytes == 1_117_320_736
    assert not local.is_there()
