"""Downloadable models: which there are, which are here, and fetching, pausing and deleting them. Service process.

One task per model that is being fetched; `parallel` of them at a time, the others wait their turn. What a user
asked for survives a restart: a download that was running when the service ended, in whatever way, goes on at the
next start; one that was paused stays paused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from backend.models.codes import ErrorCode
from backend.models.errors import ProductError, RequestError
from backend.models.model import ModelError, ModelList, ModelView
from backend.models.model_catalogue import CatalogueModel
from backend.services.model_catalogue import ModelCatalogue
from backend.services.model_transfer import RESERVE_BYTES, ModelTransfers, Transfer, offline
from backend.services.model_view import ModelLook, bytes_to_come, lacking, model_state, model_view
from backend.storage.errors import translate_os
from backend.storage.model_files import FileLook, ModelFiles
from backend.storage.settings_kv import SettingsRepository
from backend.utils.digests import HashingStopped
from backend.utils.logger import app_logger

# Row of settings_kv: {"running": [ids], "paused": [ids]}.
DOWNLOADS_KEY = "model_downloads"


class ModelService:
    """The models of the catalogue. Call `start` before, `stop` after."""

    def __init__(
        self,
        catalogue: ModelCatalogue,
        files: ModelFiles,
        transfers: ModelTransfers,
        settings: SettingsRepository,
        *,
        on_death: Callable[[BaseException], None],
        parallel: int = 1,
        is_offline: bool = False,
    ) -> None:
        self._catalogue = catalogue
        self._files = files
        self._transfers = transfers
        self._settings = settings
        self._on_death = on_death
        self._offline = is_offline
        self._slots = asyncio.Semaphore(parallel)
        # Hashing gigabytes is the disk's work: one model after the other.
        self._check_slot = asyncio.Semaphore(1)
        self._running: dict[str, tuple[Transfer, asyncio.Task[None]]] = {}
        self._checks: dict[str, asyncio.Task[None]] = {}
        self._paused: set[str] = set()
        self._failed: dict[str, ModelError] = {}
        # One for all: requests are rare, and two for one model must not cross.
        self._lock = asyncio.Lock()
        self._stopping = False

    def use_sources(self, order: Sequence[str], *, hf_endpoint: str | None) -> None:
        """Another order or mirror (`MODEL_SOURCES`, `HF_ENDPOINT`), from the next file on."""
        self._transfers.use_sources(order, hf_endpoint=hf_endpoint)

    # -- life ----------------------------------------------------------------------------------------
    async def start(self) -> None:
        """Go on with what was running when the service ended."""
        kept = await self._settings.get(DOWNLOADS_KEY) or {}
        self._paused = {model_id for model_id in kept.get("paused", ()) if self._catalogue.get(model_id)}
        for model_id in kept.get("running", ()):
            model = self._catalogue.get(model_id)
            if model is not None and model_id not in self._running:
                app_logger.info("going on with the download of model %s", model_id)
                self._launch(model)

    async def stop(self) -> None:
        """End all transfers; what has come stays, and what was running is remembered as running."""
        self._stopping = True
        tasks = [task for _, task in self._running.values()] + list(self._checks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    # -- looking -------------------------------------------------------------------------------------
    async def all(self) -> ModelList:
        seen: dict[str, ModelLook] = {}
        views = [await self._view(model, seen) for model in self._catalogue.all()]
        free = await asyncio.to_thread(self._files.free_bytes)
        return ModelList(data=views, free_bytes=free, reserve_bytes=RESERVE_BYTES, offline=self._offline)

    async def get(self, model_id: str) -> ModelView:
        return await self._view(self._model(model_id))

    async def is_ready(self, model_id: str) -> bool:
        """Whether every file is there and right. An id that is not in the catalogue raises `model_not_found`."""
        return await asyncio.to_thread(self._files.is_ready, self._model(model_id))

    def ready_now(self, model_id: str) -> bool:
        """The same for callers that may not wait: a few stat calls."""
        return self._files.is_ready(self._model(model_id))

    def folder(self, model_id: str) -> Path:
        """Where its files lie; `files[].path` of the catalogue are below it."""
        return self._files.folder(self._model(model_id))

    async def to_fetch_bytes(self, model_ids: Iterable[str]) -> int:
        """Bytes that these models lack; a shared file counts once, an id that is not in the catalogue nothing."""
        models = [model for model_id in model_ids if (model := self._catalogue.get(model_id)) is not None]
        return lacking([ModelLook(model, await self._look(model)) for model in models])

    # -- changing ------------------------------------------------------------------------------------
    async def download(self, model_id: str) -> ModelView:
        """Fetch what is missing or damaged, of required models too. What is ready or on its way is left alone.

        Raises model_not_found, disk_full, fetch_refused (offline).
        """
        model = self._model(model_id)
        async with self._lock:
            begun = [one for one in self._with_required(model) if one.id not in self._running]
            missing = {one: await self._missing(one) for one in begun}
            if any(missing.values()):
                await self._refuse_what_cannot_work(missing)
                for one in begun:
                    if missing[one]:
                        await self._end_check(one.id)
                        self._failed.pop(one.id, None)
                        self._paused.discard(one.id)
                        self._launch(one)
                await self._remember()
        return await self._view(model)

    async def pause(self, model_id: str) -> ModelView:
        """Stop fetching and keep what has come; required models stop too, unless another one waits for them.

        Raises not_ready when nothing is being fetched.
        """
        model = self._model(model_id)
        async with self._lock:
            halted = [one for one in self._with_required(model) if self._is_fetched_for(one, model)]
            for one in halted:
                await self._halt(one.id)
                if not await self.is_ready(one.id):
                    self._paused.add(one.id)
            if halted:
                await self._remember()
            elif model_id not in self._paused:
                raise RequestError(
                    ErrorCode.NOT_READY,
                    "This model is not being downloaded.",
                    hint="Start it with POST /api/models/{id}/download.",
                )
        return await self._view(model)

    async def verify(self, model_id: str) -> ModelView:
        """Hash every file again, in the background; the state is `verifying` meanwhile."""
        model = self._model(model_id)
        async with self._lock:
            if model_id in self._running:
                raise RequestError(
                    ErrorCode.NOT_READY,
                    "This model is being downloaded.",
                    hint="Every file is checked when it has arrived; wait for the end.",
                )
            self._check_behind(model, again=True)
        return await self._view(model)

    async def delete(self, model_id: str) -> ModelView:
        """Stop fetching and remove the files, except those that another model here needs.

        Raises not_ready when a model that is here is of no use without this one.
        """
        model = self._model(model_id)
        async with self._lock:
            needing = [other for other in self._catalogue.needing(model) if await self._is_wanted(other)]
            if needing:
                names = ", ".join(other.name_en for other in needing)
                raise RequestError(
                    ErrorCode.NOT_READY,
                    f"These models need this one: {names}.",
                    hint="Delete them first.",
                )
            await self._halt(model_id)
            await self._end_check(model_id)
            self._paused.discard(model_id)
            self._failed.pop(model_id, None)
            freed = 0
            for file in model.files:
                needed = [
                    other for other in self._catalogue.sharing(model, file) if await self._is_wanted(other)
                ]
                if not needed:
                    freed += await asyncio.to_thread(self._files.delete, model, file)
            await self._remember()
            app_logger.info("model %s deleted, %d bytes", model_id, freed)
        return await self._view(model)

    # -- inside --------------------------------------------------------------------------------------
    def _model(self, model_id: str) -> CatalogueModel:
        model = self._catalogue.get(model_id)
        if model is None:
            raise RequestError(
                ErrorCode.MODEL_NOT_FOUND,
                "There is no such model.",
                hint="List the models with GET /api/models.",
            )
        return model

    async def _look(self, model: CatalogueModel) -> tuple[FileLook, ...]:
        return await asyncio.to_thread(self._files.look, model)

    async def _is_wanted(self, model: CatalogueModel) -> bool:
        return model.id in self._running or model.id in self._paused or await self.is_ready(model.id)

    def _with_required(self, model: CatalogueModel) -> tuple[CatalogueModel, ...]:
        """What is required comes first: whoever waits can use other models meanwhile."""
        return (*self._catalogue.requirements(model), model)

    async def _missing(self, model: CatalogueModel) -> list[FileLook]:
        return [look for look in await self._look(model) if look.state != "ready"]

    def _is_fetched_for(self, one: CatalogueModel, model: CatalogueModel) -> bool:
        """Whether `one`, the model or one that it requires, is on its way for nobody else."""
        others = (other.id for other in self._catalogue.needing(one) if other.id != model.id)
        return one.id in self._running and (
            one is model or not any(other in self._running for other in others)
        )

    async def _refuse_what_cannot_work(self, missing: dict[CatalogueModel, list[FileLook]]) -> None:
        # By path: models share files.
        needed: dict[Path, int] = {}
        here: dict[Path, int] = {}
        for model, looks in missing.items():
            folder = self._files.folder(model)
            unproven = [look for look in looks if look.state != "unchecked"]
            needed |= {folder / look.file.path: bytes_to_come(look) for look in unproven}
            here |= {
                folder / path: size
                for path, size in (await self._transfers.adoptable(model, unproven)).items()
            }
        if self._offline and needed.keys() - here.keys():
            raise offline()
        for model_id in self._running:
            other = self._model(model_id)
            for look in await self._look(other):
                needed[self._files.folder(other) / look.file.path] = bytes_to_come(look)
        await self._transfers.require_room(sum(size for path, size in needed.items() if path not in here))

    def _launch(self, model: CatalogueModel) -> None:
        transfer = Transfer()
        task = asyncio.create_task(self._run(model, transfer), name=f"model-{model.id}")
        self._running[model.id] = (transfer, task)
        task.add_done_callback(self._watch)

    async def _run(self, model: CatalogueModel, transfer: Transfer) -> None:
        failure: ModelError | None = None
        try:
            async with self._slots:
                await self._transfers.run(model, transfer)
            app_logger.info("model %s is ready", model.id)
        except ProductError as error:
            failure = ModelError(code=error.code, detail=error.detail, hint=error.hint)
        except OSError as error:
            told = translate_os(error)
            app_logger.exception("model %s: the disk refused", model.id)
            failure = ModelError(code=told.code, detail=told.detail, hint=told.hint)
        finally:
            self._running.pop(model.id, None)
        if failure is not None:
            self._failed[model.id] = failure
            app_logger.warning("model %s was not fetched: %s", model.id, failure.detail)
        try:
            await self._remember()
        except ProductError as error:
            # It will be looked at once more at the next start, and found to be ready or not.
            app_logger.warning("the end of a download was not noted: %s", error.detail)

    async def _halt(self, model_id: str) -> None:
        if model_id in self._running:
            task = self._running[model_id][1]
            task.cancel()
            await asyncio.wait({task})
            # A task that was cancelled before its first step has not taken its name out.
            self._running.pop(model_id, None)

    async def _end_check(self, model_id: str) -> None:
        task = self._checks.get(model_id)
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    def _watch(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            app_logger.critical("a task of the models died", exc_info=error)
            self._on_death(error)

    async def _remember(self) -> None:
        if not self._stopping:
            value = {"running": sorted(self._running), "paused": sorted(self._paused)}
            await self._settings.set(DOWNLOADS_KEY, value)

    def _check_behind(self, model: CatalogueModel, *, again: bool = False) -> None:
        """Hash what lies there, without anybody waiting. Once at a time for a model."""
        if model.id in self._checks or self._stopping:
            return
        task: asyncio.Task[None] = asyncio.create_task(
            self._checked(model, again), name=f"model-check-{model.id}"
        )
        self._checks[model.id] = task
        task.add_done_callback(lambda _task: self._checks.pop(model.id, None))
        task.add_done_callback(self._watch)

    async def _checked(self, model: CatalogueModel, again: bool) -> None:
        """A check that meets a file which vanishes or is locked ends; the next listing looks again."""
        try:
            async with self._check_slot:
                await self._transfers.check(model, Transfer(), again=again)
        except (OSError, HashingStopped) as error:
            app_logger.warning("a file of model %s could not be checked: %s", model.id, error)

    async def _view(self, model: CatalogueModel, seen: dict[str, ModelLook] | None = None) -> ModelView:
        """`seen`: what one listing has looked at already."""
        seen = {} if seen is None else seen
        for part in self._with_required(model):
            if part.id not in seen:
                seen[part.id] = ModelLook(part, await self._look(part))
        look = seen[model.id]
        transfer = self._running[model.id][0] if model.id in self._running else None
        if transfer is None and any(
            file.state == "unchecked" and (file.file.sha256 or file.marker) for file in look.files
        ):
            self._check_behind(model)
        state = model_state(
            look.files,
            transfer,
            is_checked=model.id in self._checks,
            is_paused=model.id in self._paused,
            has_failed=model.id in self._failed,
        )
        required = [seen[part.id] for part in self._catalogue.requirements(model)]
        return model_view(look, required, transfer, state, self._failed.get(model.id))
