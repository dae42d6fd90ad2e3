"""What the HTTP layer may use: every service by name. Runs in the service process; `container` fills it."""

from __future__ import annotations

from dataclasses import dataclass

from backend.services.access import Access
from backend.services.admin_wiring import AdminServices
from backend.services.avatar_service import AvatarService
from backend.services.batch_service import BatchService
from backend.services.disk_service import DiskService
from backend.services.estimator import Estimator
from backend.services.event_stream import EventService
from backend.services.job_service import JobService
from backend.services.library_wiring import LibraryServices
from backend.services.model_service import ModelService
from backend.services.openai_speech import OpenAISpeech
from backend.services.script_requests import ScriptService
from backend.services.speech_router import SpeechRouter
from backend.services.system_service import SystemService
from backend.services.text_wiring import TextServices
from backend.services.voice_enrolment import VoiceEnrolment
from backend.services.voice_service import VoiceService
from backend.services.voice_speaker import VoiceSpeaker
from backend.services.webhook_service import WebhookService


@dataclass(frozen=True)
class Services:
    """What the HTTP layer may use."""

    jobs: JobService
    estimator: Estimator
    voices: VoiceService
    enrolment: VoiceEnrolment
    speaker: VoiceSpeaker
    speech: SpeechRouter
    models: ModelService
    openai: OpenAISpeech
    avatars: AvatarService
    batches: BatchService
    webhooks: WebhookService
    disk: DiskService
    events: EventService
    system: SystemService
    access: Access
    scripts: ScriptService
    texts: TextServices
    library: LibraryServices
    admin: AdminServices
