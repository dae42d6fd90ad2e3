"""The stand-in of a loaded model: takes what upstream gives a model, notes it, and answers a moving gradient.

Runs in the worker, in upstream's environment. `load` and `draw` of the orders say what goes wrong.
"""

from __future__ import annotations

import time
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from tests.support.wan2gp_cpu.orders import Orders

_VRAM_TEXT = "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 23.69 GiB of which 1.20 GiB is free."
# What can go wrong, by the name in the orders: the exception that a real model or library raises then.
_FAULTS: dict[str, Any] = {
    "vram": lambda: torch.OutOfMemoryError(_VRAM_TEXT),
    "pinned": lambda: RuntimeError("CUDA error: out of memory"),
    "ram": lambda: MemoryError(),
    "sticky": lambda: RuntimeError("CUDA error: device-side assert triggered"),
    "kernel": lambda: RuntimeError("CUDA error: no kernel image is available for execution on the device"),
    "corrupt": lambda: RuntimeError("Failed to load safetensors file: header too large"),
    "boom": lambda: RuntimeError("boom in the model"),
    "disk": lambda: OSError(28, "No space left on device"),
    "exit": lambda: SystemExit(3),
}
_FAULT_AT_STEP = 1
_NOTED = (
    "frame_num",
    "height",
    "width",
    "fps",
    "window_no",
    "sampling_steps",
    "seed",
    "input_prompt",
    "audio_prompt_type",
    "video_prompt_type",
    "speakers_bboxes",
    "overlap_size",
    "prefix_frames_count",
    "duration_seconds",
    "model_mode",
    "alt_prompt",
)
_MEDIA = (
    "image_start",
    "input_video",
    "input_ref_images",
    "audio_guide",
    "audio_guide2",
    "input_waveform",
    "audio_proj",
)
_WAV_RATE = 24000


class _Offload:
    """What upstream calls around a model to move it between memories."""

    def unload_all(self) -> None:
        """Nothing is anywhere."""

    def release(self) -> None:
        """Nothing is held."""


class _Weights(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(2, 2)
        self._loras_errors: list[str] = []


class StandIn:
    """One "loaded" model."""

    def __init__(self, model_type: str, wgp: ModuleType, orders: Orders) -> None:
        self.model = _Weights()
        self._interrupt = False
        self._model_type = model_type
        self._wgp = wgp
        self._orders = orders

    def load(self, how: str) -> tuple[StandIn, _Offload]:
        time.sleep(float(self._orders.get("load_s", 0.0)))
        if how != "ok":
            raise _FAULTS[how]()
        return self, _Offload()

    def generate(self, **given: Any) -> Any:
        self._note(given)
        callback, steps = given["callback"], given["sampling_steps"] or 4
        how, pause = self._orders.get("draw", "ok"), float(self._orders.get("step_s", 0.0))
        window = self._orders.get("window", None)
        is_my_turn = window is None or given.get("window_no") == window
        callback(-1, None, True)
        for step in range(steps):
            if self._interrupt:
                return None
            if is_my_turn and how not in {"ok", "nothing"} and step == _FAULT_AT_STEP:
                raise _FAULTS[how]()
            time.sleep(pause)
            callback(step, self._latents(given), False)
        if how == "nothing":
            return None
        if self._wgp.get_model_def(self._model_type).get("audio_only"):
            tone = np.sin(np.arange(_WAV_RATE * 2) * 0.05).astype("float32") * 0.2
            return {"x": torch.from_numpy(tone)[None], "audio_sampling_rate": _WAV_RATE}
        return _film(given["frame_num"], given["height"], given["width"], first=given.get("window_no") or 1)

    def _latents(self, given: dict[str, Any]) -> Any:
        frames, height, width = given.get("frame_num"), given.get("height"), given.get("width")
        if not frames or not height or not width:
            return None
        return torch.randn(16, max(1, (frames - 1) // 4 + 1), height // 8, width // 8)

    def _note(self, given: dict[str, Any]) -> None:
        facts = {name: _plain(given.get(name)) for name in _NOTED}
        media = {name: _described(given.get(name)) for name in _MEDIA}
        self._orders.note("draw", model_type=self._model_type, **facts, **media)


def _film(frames: int, height: int, width: int, first: int) -> torch.Tensor:
    """Colours that move from frame to frame, different in every window."""
    across = torch.linspace(-1, 1, width).expand(height, width)
    shifts = torch.arange(frames) / 25.0
    red = torch.stack([torch.sin(across * 3 + shift + first) for shift in shifts.tolist()])
    return torch.stack([red, red.flip(-1), red * 0.5]).clamp(-1, 1)


def _plain(value: Any) -> Any:
    return value if isinstance(value, (int, float, str, bool, type(None), list, dict)) else str(value)


def _described(value: Any) -> Any:
    if value is None:
        return None
    if hasattr(value, "shape"):
        return list(value.shape)
    if isinstance(value, (list, tuple)):
        return [_described(one) for one in value]
    return Path(value).name if isinstance(value, str) else type(value).__name__
