"""MOSS-TTS-Nano: clones a voice on the processor, in the `moss_nano` worker. Service process side."""

from __future__ import annotations

from backend.engines.speech.clone import CloneSpeechEngine


class MossNanoSpeechEngine(CloneSpeechEngine):
    """Needs nothing but its weights: its worker runs in the service's own environment."""

    name = "moss_nano"
    title_en = "Voice cloning on the CPU (MOSS-TTS-Nano)"
    title_zh = "CPU 声音克隆（MOSS-TTS-Nano）"
    licence = "Apache-2.0"
    model_id = "moss-tts-nano"
    model_title = "MOSS-TTS-Nano"
