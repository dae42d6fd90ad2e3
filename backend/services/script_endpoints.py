"""Which chat models are there to write a script. Runs in the service process, on the event loop.

Looked for on this computer alone: Ollama, LM Studio and llama.cpp's server at their usual ports on 127.0.0.1, and the
small model of our own when its file is there. Another computer is asked only because somebody set SCRIPT_API_URL.
Each look is short, all go at once, and what was found is kept for some seconds.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from backend.models.codes import ErrorCode
from backend.models.errors import InputError
from backend.models.script import ScriptModelList, ScriptModelView, ScriptSource
from backend.utils.chat_client import ChatServer, open_client, read_bounded
from backend.utils.clock import Clock
from backend.utils.guarded_http import tls_context

# A program on this computer answers in milliseconds, or in a second while it loads a model.
LOOK_S = 1.5
CONNECT_S = 0.5
# One that the user named may be far away.
CUSTOM_LOOK_S = 5.0
# The page asks while somebody types; a server that was just started is seen soon enough.
KEPT_S = 5.0
MAX_LIST_BYTES = 1 << 20
MAX_MODELS = 50
_MAX_NAME = 200

# Models of these servers that do not write: by their names, because the list tells nothing else.
_NOT_WRITING = re.compile(
    r"embed|rerank|\bbge\b|\be5-|whisper|\btts\b|moderation|dall-e|\bclip\b|\bocr\b|guard|diffusion|realtime|transcribe|"
    r"\bimage\b|sora|davinci|babbage",
    re.IGNORECASE,
)

# Ollama lists models of its own cloud among those of this computer, by these names.
_ELSEWHERE = re.compile(r"[:-]cloud$")

MISSING = "No language model is set up that could write the script."
MISSING_FIX = (
    "One of three: start Ollama, LM Studio or llama.cpp's server on this computer; or set SCRIPT_API_URL in .env; or "
    "download the small model of All-in-one (Models page, or POST /api/models/script-qwen/download). Or write the text "
    'yourself and send script_mode "manual".'
)


@dataclass(frozen=True)
class ScriptApi:
    """SCRIPT_API_URL, SCRIPT_API_KEY, SCRIPT_API_MODEL and SCRIPT_DISCOVERY of the settings."""

    url: str | None = None
    key: str | None = field(default=None, repr=False)
    model: str | None = None
    discovery: bool = True


@dataclass(frozen=True)
class Place:
    """A server that may run on this computer. `owner`: what its list says it is owned by, where the port is anybody's."""

    source: ScriptSource
    title: str
    url: str
    fix_when_empty: str
    owner: str | None = None


PLACES: tuple[Place, ...] = (
    Place(
        "ollama", "Ollama", "http://127.0.0.1:11434/v1", "Load one, for example with: ollama pull qwen3:4b"
    ),
    Place("lmstudio", "LM Studio", "http://127.0.0.1:1234/v1", "Download a chat model inside LM Studio."),
    # 8080 is every second program's port, so that one must say who it is.
    Place(
        "llamacpp",
        "llama.cpp",
        "http://127.0.0.1:8080/v1",
        "Start it with a model: llama-server -m",
        "llamacpp",
    ),
)


@dataclass(frozen=True)
class LocalModel:
    """The model of the catalogue that our own worker runs."""

    model_id: str
    name: str
    path: Path
    bytes: int

    def is_there(self) -> bool:
        """Its download puts it there only when its hash is right; the size tells of a hand in between."""
        try:
            return self.path.stat().st_size == self.bytes
        except OSError:
            return False


@dataclass(frozen=True)
class ScriptModel:
    """A model that may write. `server` is None for our own worker, `path` for all others."""

    source: ScriptSource
    name: str
    server: ChatServer | None = None
    path: Path | None = None
    reason: str | None = None
    fix: str | None = None

    @property
    def id(self) -> str:
        return f"{self.source}/{self.name}" if self.name else self.source

    @property
    def stays_here(self) -> bool:
        """Whether the topic stays on this computer, or goes where the user has said."""
        return self.source != "ollama" or not _ELSEWHERE.search(self.name)

    @property
    def is_ready(self) -> bool:
        return self.reason is None

    def view(self) -> ScriptModelView:
        return ScriptModelView(
            id=self.id,
            source=self.source,
            model=self.name,
            ready=self.is_ready,
            reason=self.reason,
            fix=self.fix,
        )


class ScriptModels:
    """Looks, remembers for a moment, chooses."""

    def __init__(
        self,
        api: ScriptApi,
        *,
        local: LocalModel | None,
        clock: Clock,
        places: Sequence[Place] = PLACES,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._api = api
        self._local = local
        self._clock = clock
        self._places = tuple(places)
        self._transport = transport
        self._looking = asyncio.Lock()
        self._found: tuple[ScriptModel, ...] = ()
        self._found_at_s = float("-inf")

    def use(self, api: ScriptApi) -> None:
        """Other settings, from the next look on."""
        self._api = api
        self._found_at_s = float("-inf")

    async def all(self) -> tuple[ScriptModel, ...]:
        """Best first: what the user set, what runs on this computer, the small model of our own."""
        async with self._looking:
            if self._clock.monotonic_s() - self._found_at_s >= KEPT_S:
                places = self._places if self._api.discovery else ()
                looks = [self._look_at(place) for place in places]
                found = await asyncio.gather(self._look_at_custom(), *looks)
                self._found = tuple(model for models in found for model in models)
                self._found_at_s = self._clock.monotonic_s()
            servers = self._found
        # Not kept: the end of a download shall be seen at once, and this look costs nothing.
        return (*servers, *await asyncio.to_thread(self._look_at_local))

    async def listed(self) -> ScriptModelList:
        models = await self.all()
        chosen = self._best(models)
        return ScriptModelList(data=[model.view() for model in models], chosen=chosen.id if chosen else None)

    async def choose(self, wanted: str | None = None) -> ScriptModel:
        """The model of this id or name, or the best one. Raises InputError(`script_model_missing`)."""
        models = await self.all()
        if not wanted:
            best = self._best(models)
            if best is not None:
                return best
            broken = next((model for model in models if model.source == "custom"), None)
            reason = f"{MISSING} {broken.reason}" if broken else MISSING
            raise InputError(ErrorCode.SCRIPT_MODEL_MISSING, reason, hint=MISSING_FIX)
        named = [model for model in models if wanted in {model.id, model.name}]
        for model in named:
            if model.is_ready:
                return model
        if named:
            raise InputError(ErrorCode.SCRIPT_MODEL_MISSING, named[0].reason or MISSING, hint=named[0].fix)
        raise InputError(
            ErrorCode.SCRIPT_MODEL_MISSING,
            "There is no writing model of that name.",
            hint="Choose one of GET /api/script/models.",
        )

    def _best(self, models: Sequence[ScriptModel]) -> ScriptModel | None:
        ready = [model for model in models if model.is_ready]
        # SCRIPT_API_MODEL alone chooses among what runs on this computer.
        wished = next((model for model in ready if model.name == self._api.model), None)
        return wished or next((model for model in ready if model.stays_here), None)

    # -- looking -----------------------------------------------------------------------------------
    def _look_at_local(self) -> list[ScriptModel]:
        if self._local is None:
            return []
        if self._local.is_there():
            return [ScriptModel("local", self._local.model_id, path=self._local.path)]
        size_gb = self._local.bytes / 1e9
        return [
            ScriptModel(
                "local",
                self._local.model_id,
                path=self._local.path,
                reason=f"{self._local.name} is not downloaded.",
                fix=f"Download it ({size_gb:.1f} GB): POST /api/models/{self._local.model_id}/download",
            )
        ]

    async def _look_at(self, place: Place) -> list[ScriptModel]:
        server = ChatServer(place.url, place.title)
        answer = await self._ask(server, LOOK_S)
        if not isinstance(answer, list):
            return []
        if place.owner is not None and not any(item.get("owned_by") == place.owner for item in answer):
            return []
        names = _names(answer)
        if place.source == "llamacpp":
            # It calls its model by the file's path, which is nobody's business, and does not need it.
            names = [re.split(r"[/\\]", name)[-1] for name in names]
        models = [ScriptModel(place.source, name, server) for name in names if name]
        if models:
            return models
        reason = f"{place.title} runs, but it has no model that writes."
        return [ScriptModel(place.source, "", server, reason=reason, fix=place.fix_when_empty)]

    async def _look_at_custom(self) -> list[ScriptModel]:
        if self._api.url is None:
            return []
        title = urlsplit(self._api.url).hostname or "SCRIPT_API_URL"
        server = ChatServer(self._api.url, title, self._api.key)
        answer = await self._ask(server, CUSTOM_LOOK_S)
        wished = self._api.model or ""
        if isinstance(answer, list):
            names = _names(answer)
            # Not every server lists what it has; a model that was named is asked for all the same.
            ordered = [wished, *(name for name in names if name != wished)] if wished else names
            if ordered:
                return [ScriptModel("custom", name, server) for name in ordered]
            reason, fix = f"{title} lists no model that writes.", "Set SCRIPT_API_MODEL in .env."
        elif answer in {401, 403}:
            reason, fix = f"{title} refused the key.", "Check SCRIPT_API_KEY in .env, then restart."
        elif answer is None:
            reason, fix = f"{title} cannot be reached.", "Start it, or check SCRIPT_API_URL in .env."
        elif wished:
            return [ScriptModel("custom", wished, server)]
        else:
            reason, fix = f"{title} does not list its models.", "Set SCRIPT_API_MODEL in .env."
        return [ScriptModel("custom", wished, server, reason=reason, fix=fix)]

    async def _ask(self, server: ChatServer, seconds: float) -> list[dict[str, Any]] | int | None:
        """`GET /models`: its entries; the status of another answer; None when there is nobody."""
        await asyncio.to_thread(tls_context)
        try:
            return await asyncio.wait_for(self._list(server), seconds)
        except (httpx.HTTPError, OSError, asyncio.TimeoutError):
            return None

    async def _list(self, server: ChatServer) -> list[dict[str, Any]] | int:
        async with (
            open_client(self._transport, CONNECT_S if server.key is None else CUSTOM_LOOK_S) as client,
            client.stream("GET", f"{server.url}/models", headers=server.headers()) as response,
        ):
            if response.status_code != httpx.codes.OK:
                return response.status_code
            raw = await read_bounded(response, MAX_LIST_BYTES)
            entries = _entries(raw)
            return response.status_code if entries is None else entries


def _entries(raw: bytes) -> list[dict[str, Any]] | None:
    """`data` of OpenAI's list; None when the body is no such list. Ollama without a model sends `data: null`."""
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    if not isinstance(body, dict) or "data" not in body:
        return None
    data = body["data"] or []
    return [item for item in data if isinstance(item, dict)] if isinstance(data, list) else None


def _names(entries: list[dict[str, Any]]) -> list[str]:
    names = [str(item.get("id", "")) for item in entries]
    kept = [
        name
        for name in names
        if name.isprintable() and 0 < len(name) <= _MAX_NAME and not _NOT_WRITING.search(name)
    ]
    return list(dict.fromkeys(kept))[:MAX_MODELS]
