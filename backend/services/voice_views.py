"""From stored voices to voices on the wire, and the sentences about who speaks for them. Pure; service process.

Nothing here calls a match a clone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backend.engines.speech.builtin import BUILTIN
from backend.models.file_records import VoiceRecord
from backend.models.library import ConsentView, MatchView, SimilarityView, VoiceView
from backend.services.catalog import BuiltinVoice
from backend.services.speech_router import MATCH_TITLES, SpeechRouter
from backend.utils.clock import iso_from_ms

# Of the encoder that matches are measured with: different people score 0.58 on average and seldom above 0.75,
# one person in two recordings 0.95; a refined match reaches 0.74 for most voices.
CLOSE_FROM = 0.74
FAIR_FROM = 0.65
# Version of the sentence under which consent is given in the page (docs/api.md, ConsentView).
CONSENT_VERSION = 1


def similarity_view(similarity: Mapping[str, Any] | None) -> SimilarityView | None:
    if similarity is None:
        return None
    score = float(similarity["score"])
    return SimilarityView(
        score=round(score, 3),
        badge="close" if score >= CLOSE_FROM else "fair" if score >= FAIR_FROM else "far",
        stage=similarity["stage"],
        encoder=similarity["encoder"],
    )


def match_view(record: VoiceRecord, refining: float | None) -> MatchView:
    """`refining`: how far the refinement under way is, None when there is none."""
    if record.match_state == "fast" and refining is not None:
        return MatchView(state="refining", progress=round(refining, 3))
    return MatchView(state=record.match_state, reason=record.match_reason)


def builtin_view(voice: BuiltinVoice, router: SpeechRouter) -> VoiceView:
    return VoiceView(
        voice_id=voice.voice_id,
        name=voice.name_en,
        name_zh=voice.name_zh,
        name_en=voice.name_en,
        language=voice.language,
        gender=voice.gender,
        engine=BUILTIN,
        status="ready",
        builtin=True,
        default=voice.is_default,
        engines=router.voice_engines(is_own=False),
    )


def own_view(record: VoiceRecord, router: SpeechRouter, *, refining: float | None) -> VoiceView:
    base = f"/api/voices/{record.voice_id}"
    consent = record.consent
    return VoiceView(
        voice_id=record.voice_id,
        name=record.name,
        name_zh=record.name,
        name_en=record.name,
        language=record.language or "auto",
        gender=record.gender,
        engine=speaker_of(record, router),
        status=record.status,
        builtin=False,
        default=False,
        created_at=iso_from_ms(record.created_at),
        report=dict(record.profile),
        similarity=similarity_view(record.similarity),
        match=match_view(record, refining),
        engines=router.voice_engines(is_own=True),
        notice=notice_of(record, router),
        note=record.note,
        consent=None
        if consent is None
        else ConsentView(
            given=bool(consent.get("given")),
            at=iso_from_ms(int(consent.get("at", record.created_at))),
            version=consent.get("version"),
        ),
        sample_url=f"{base}/sample" if record.file_id else None,
        reference_url=f"{base}/reference" if record.reference_file_id else None,
    )


def speaker_of(record: VoiceRecord, router: SpeechRouter) -> str:
    """The engine that would speak in this voice now, for a text in its own language when that is known."""
    language = record.language if record.language in {"zh", "en", "ja"} else None
    return router.first_ready(is_own=record.reference_file_id is not None, language=language)


def notice_of(record: VoiceRecord, router: SpeechRouter) -> str:
    """Who speaks for this voice now, and what would truly clone it."""
    name = speaker_of(record, router)
    engine = router.engine(name)
    if engine is not None and engine.is_clone:
        return f"{engine.title_en} learns this voice from the sample."
    if record.profile_file_id is not None:
        view = similarity_view(record.similarity)
        measured = f" Measured similarity {view.score:.2f} ({view.badge})." if view else ""
        said = f"{MATCH_TITLES[0]}: a built-in voice is shaped after the sample; it is not a clone.{measured}"
    elif record.reference_file_id is None:
        said = "A built-in voice speaks instead: this voice was stored by an earlier release. Enrol it again."
    else:
        reason = f" {record.match_reason}" if record.match_reason else ""
        said = f"A built-in voice speaks instead: the match could not be made.{reason}"
    clones = router.installable_clones()
    if clones:
        said += f" Once installed, one of these would truly clone it: {', '.join(clones)}."
    return said
