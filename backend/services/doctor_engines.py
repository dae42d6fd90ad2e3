"""Checks of engines, models and the queue. Runs in the service process."""

from __future__ import annotations

from backend.models.codes import ErrorCode
from backend.models.doctor import CheckStatus, CheckView, FixView
from backend.models.library import EngineView, SpeechEngineView
from backend.services.model_service import ModelService
from backend.services.speech_router import SpeechRouter
from backend.services.system_service import SystemService

# The engines without which nothing works have checks of their own name; the others are `engine.<name>`.
OWN_CHECKS = {"draft": "draft", "builtin": "speech"}


class EngineChecks:
    """Asks the engines what they say of themselves."""

    def __init__(self, *, system: SystemService, speech: SpeechRouter, models: ModelService) -> None:
        self._system = system
        self._speech = speech
        self._models = models

    async def engines(self) -> list[CheckView]:
        """One check for each engine of the picture and of speech."""
        rows: list[EngineView | SpeechEngineView] = [
            *await self._system.engines(),
            *await self._speech.views(),
        ]
        return [_engine_check(row) for row in rows]

    async def models(self) -> CheckView:
        """Whether what was downloaded is whole."""
        found = (await self._models.all()).data
        title = "Downloaded models"
        damaged = next((model for model in found if model.state == "damaged"), None)
        if damaged is not None:
            fix = FixView(
                action="download_model",
                label=f"Fetch {damaged.name_en} again",
                automatic=True,
                target=damaged.id,
            )
            detail = f"{damaged.name_en} is damaged."
            return CheckView(id="models", status="error", title=title, detail=detail, fix=fix)
        failed = next((model for model in found if model.state == "failed"), None)
        if failed is not None:
            fix = FixView(
                action="download_model",
                label=f"Go on with {failed.name_en}",
                automatic=True,
                target=failed.id,
            )
            told = failed.error.detail if failed.error is not None else "The download failed."
            detail = f"{failed.name_en}: {told}"
            return CheckView(id="models", status="warning", title=title, detail=detail, fix=fix)
        ready = sum(model.state == "ready" for model in found)
        detail = f"{ready} of {len(found)} models of the catalogue are here, whole and checked."
        return CheckView(id="models", status="ok", title=title, detail=detail, fix=None)

    async def queue(self) -> CheckView:
        queue = await self._system.queue()
        title = "Queue"
        if not queue.paused:
            detail = f"{queue.running} jobs run, {queue.queued} wait."
            return CheckView(id="queue", status="ok", title=title, detail=detail, fix=None)
        detail = f"The queue is paused. {queue.reason or ''}".strip()
        fix = FixView(action="resume_queue", label="Let it go on", automatic=True)
        return CheckView(id="queue", status="warning", title=title, detail=detail, fix=fix)


def _engine_check(row: EngineView | SpeechEngineView) -> CheckView:
    own = OWN_CHECKS.get(row.name)
    title = row.title if isinstance(row, EngineView) else row.title_en
    check_id = own or f"engine.{row.name}"
    if row.ready:
        return CheckView(id=check_id, status="ok", title=title, detail="Ready.", fix=None)
    detail = row.reason or "It cannot work now."
    if row.state == "NOT_INSTALLED" and own is None:
        # Optional, so not a fault: what to do stands with it.
        fix = _how_to_install(row)
        status: CheckStatus = "warning" if row.code is ErrorCode.MODEL_MISSING else "skipped"
        return CheckView(id=check_id, status=status, title=title, detail=detail, fix=fix)
    if row.state == "UNAVAILABLE":
        label = f"Restart {title}"
        fix = FixView(action="restart_engine", label=label, automatic=True, target=row.name)
    else:
        fix = FixView(action="repair", label=row.fix or "Start once with --repair")
    return CheckView(id=check_id, status="error", title=title, detail=detail, fix=fix)


def _how_to_install(row: EngineView | SpeechEngineView) -> FixView:
    if row.code is ErrorCode.MODEL_MISSING:
        return FixView(action="open_models", label=row.fix or "Download its model")
    return FixView(action="read_docs", label=row.fix or "Install it")
