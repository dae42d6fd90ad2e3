"""Where a recording holds speech. Runs in the speech worker.

Flow: samples at 16 kHz, in pieces of any size -> the network hears 32 ms at a time and remembers what came before
-> one probability per 32 ms -> stretches of speech. Memory is one number per frame, whatever the length.

Source of the facts: Silero VAD 6.2 (assets/models/vad/NOTICE): frames of 512 samples, each preceded by the last 64
of the frame before, a state of (2, 1, 128) carried along.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from workers.handler import TaskError

SAMPLE_RATE = 16_000
FRAME = 512
FRAME_S = FRAME / SAMPLE_RATE
MODEL_FILE = "silero_vad_16k_op15.onnx"

_CONTEXT = 64
_STATE_SHAPE = (2, 1, 128)
# The network's own recommendation: speech begins at 0.5 and lasts until 0.15 below.
_ON, _OFF = 0.5, 0.35
# Anything shorter than 0.1 s is a click or a cough.
_MIN_SPEECH_FRAMES = 3
# The network answers one to two frames late at the end of a word and early at its start; fricatives outlast it.
_PAD_FRAMES = 1

F32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Stretch:
    """Speech from `start_s` to `end_s`, in seconds of the recording."""

    start_s: float
    end_s: float

    @property
    def length_s(self) -> float:
        return self.end_s - self.start_s


class SpeechDetector:
    """The loaded network: 1.3 MB on disk. One recording at a time: `stream()` begins it."""

    def __init__(self, assets_dir: Path) -> None:
        """`assets_dir`: the program's assets folder. Raises TaskError(model_missing) for a damaged file."""
        options = ort.SessionOptions()
        # A frame takes 0.1 ms: threads would only wait for each other.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = ort.InferenceSession(
                (assets_dir / "models" / "vad" / MODEL_FILE).read_bytes(),
                options,
                providers=["CPUExecutionProvider"],
            )
        except (OSError, RuntimeError) as error:  # onnxruntime's own errors are RuntimeErrors
            raise TaskError(
                "model_missing",
                "The file that finds speech is missing or damaged. Unpack the program again.",
                detail=repr(error),
            ) from error

    def stream(self) -> SpeechStream:
        """Begin to listen to a recording."""
        return SpeechStream(self._session)


class SpeechStream:
    """Listens to one recording from its start to its end."""

    def __init__(self, session: ort.InferenceSession) -> None:
        self._session = session
        self._state = np.zeros(_STATE_SHAPE, np.float32)
        self._window = np.zeros((1, _CONTEXT + FRAME), np.float32)
        self._rate = np.array(SAMPLE_RATE, np.int64)
        self._rest = np.zeros(0, np.float32)
        self._probabilities: list[float] = []

    def feed(self, samples: F32) -> None:
        """The next samples (-1..1)."""
        samples = np.concatenate([self._rest, samples])
        whole = len(samples) // FRAME * FRAME
        for start in range(0, whole, FRAME):
            self._hear(samples[start : start + FRAME])
        self._rest = samples[whole:]

    def close(self) -> F32:
        """The probability of speech in each frame of 32 ms; the last frame may be half silence."""
        if len(self._rest):
            self._hear(np.pad(self._rest, (0, FRAME - len(self._rest))))
            self._rest = self._rest[:0]
        return np.array(self._probabilities, np.float32)

    def _hear(self, frame: F32) -> None:
        self._window[0, :_CONTEXT] = self._window[0, -_CONTEXT:]
        self._window[0, _CONTEXT:] = frame
        probability, self._state = self._session.run(
            None, {"input": self._window, "state": self._state, "sr": self._rate}
        )
        self._probabilities.append(float(probability[0, 0]))


def stretches(probabilities: F32, *, bridge_s: float, total_s: float) -> list[Stretch]:
    """Stretches of speech, in order; pauses up to `bridge_s` belong to them. `total_s` ends the last one."""
    found: list[list[int]] = []
    start: int | None = None
    for index, probability in enumerate([*probabilities.tolist(), 0.0]):
        if start is None and probability >= _ON:
            start = index
        elif start is not None and probability < _OFF:
            if index - start >= _MIN_SPEECH_FRAMES:
                found.append([max(0, start - _PAD_FRAMES), index + _PAD_FRAMES])
            start = None
    merged: list[list[int]] = []
    for begin, end in found:
        if merged and (begin - merged[-1][1]) * FRAME_S <= bridge_s:
            merged[-1][1] = end
        else:
            merged.append([begin, end])
    return [Stretch(begin * FRAME_S, min(end * FRAME_S, total_s)) for begin, end in merged]
