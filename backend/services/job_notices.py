"""What a viewer of a finished video should know, as sentences with stable codes. Pure; service process."""

from __future__ import annotations

from collections.abc import Sequence

from backend.engines.speech.builtin import BUILTIN
from backend.models.codes import StageName
from backend.models.job import JobCreate
from backend.models.records import AttemptOutcome, JobView
from backend.services.engine_router import AUTO, DRAFT_ENGINES
from backend.services.hearing import notice_of
from backend.services.speech_router import MATCH_TITLES, SpeechRouter
from backend.services.speech_stage import REPORT_KEY, SILENT_KEY, manners_of, spoken_by
from backend.services.stage_io import AUDIO_FILE

# Callers switch on these; docs/api.md lists them.
NOTICE_CODES = (
    "draft",
    "voice_match",
    "voice_clone",
    "voice_stand_in",
    "voice_fallback",
    "speaker_silent",
    "speech_doubtful",
    "speech_not_heard",
    "warning",
)
DRAFT_NOTICE = "This is a draft made on the CPU. A GPU engine makes the final video: see Engines, then retry the job with it."
MATCH_NOTICE = f"{MATCH_TITLES[0]}: a built-in voice was shaped after the sample. It is not a clone of the speaker's voice."
STAND_IN_NOTICE = "A built-in voice speaks in the place of your own: there is no match of its sample."

Notice = dict[str, str]


def notices(
    view: JobView, request: JobCreate, *, is_own: bool, router: SpeechRouter, warnings: Sequence[str]
) -> list[Notice]:
    """All that apply, the most important first."""
    found: list[Notice] = []
    if view.job.selected_engine in DRAFT_ENGINES:
        found.append({"code": "draft", "message": DRAFT_NOTICE})
    found += _of_the_voice(view, request, is_own=is_own, router=router)
    sound = view.artifact(AUDIO_FILE)
    heard = notice_of(sound.file.meta.get(REPORT_KEY)) if sound else None
    found += [_of_silence(name) for name in sound.file.meta.get(SILENT_KEY, ())] if sound else []
    found += [heard] if heard else []
    found += [{"code": "warning", "message": text} for text in warnings]
    return found


def _of_silence(name: str) -> Notice:
    message = f"{name} says nothing: no line of the script begins with “{name}:”."
    return {"code": "speaker_silent", "message": message}


def _of_the_voice(view: JobView, request: JobCreate, *, is_own: bool, router: SpeechRouter) -> list[Notice]:
    audio = view.artifact(AUDIO_FILE)
    engine, _ = spoken_by(audio.file if audio else None)
    manners = manners_of(audio.file if audio else None)
    found: list[Notice] = []
    if "match" in manners:
        found.append({"code": "voice_match", "message": MATCH_NOTICE})
    if "clone" in manners:
        title = router.title(engine or "")
        message = f"The voice is an artificial copy that {title} made of the sample."
        found.append({"code": "voice_clone", "message": message})
    # Sound of a release that could do nothing else noted nothing.
    is_unsaid = is_own and not request.speakers and not {"match", "clone"}.intersection(manners)
    if "stand_in" in manners or is_unsaid:
        found.append({"code": "voice_stand_in", "message": STAND_IN_NOTICE})
    fallback = _fallback(view, request, engine or BUILTIN, is_own=is_own, router=router)
    if fallback is not None:
        found.append({"code": "voice_fallback", "message": fallback})
    return found


def _fallback(
    view: JobView, request: JobCreate, engine: str, *, is_own: bool, router: SpeechRouter
) -> str | None:
    """Why another speech engine spoke than the one that was asked for, or the one that came first."""
    reason = speech_reason(view, router, is_own=is_own, spoke=engine)
    if reason is not None:
        return reason
    if request.speech_engine in {AUTO, engine}:
        return None
    asked = router.title(request.speech_engine)
    if not is_own:
        return f"Built-in voices are always spoken by the built-in engine, so {asked} was not used."
    return f"{asked} was asked for; {router.title(engine, is_own=True)} spoke."


def speech_reason(view: JobView, router: SpeechRouter, *, is_own: bool, spoke: str) -> str | None:
    """Which speech engines this job tried in vain before `spoke`, with their reasons; None when there are none."""
    bad = {AttemptOutcome.FAILED, AttemptOutcome.SKIPPED}
    reasons = {
        hop.engine: hop.error_message or ""
        for hop in view.attempts
        if hop.stage is StageName.SPEECH and hop.engine != spoke and hop.outcome in bad
    }
    if not reasons:
        return None
    told = " ".join(f"{router.title(name, is_own=is_own)}: {reason}" for name, reason in reasons.items())
    return f"{told} {router.title(spoke, is_own=is_own)} spoke instead."
