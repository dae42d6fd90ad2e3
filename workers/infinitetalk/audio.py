"""From a WAV of speech to the rows that drive the picture. Runs in the InfiniteTalk worker.

Flow: WAV (any rate, 24 kHz as a rule) -> 16 kHz -> optional loudness -> zero mean, unit variance, silence up
to a window's length -> wav2vec2 at 25 frames/s -> rows (frames, 12, 768), made when they are asked for.

Long speech. Up to a minute is one piece, exactly as published. Longer speech is cut into pieces of 40 s that
are each heard with 10 s more on both sides. All up to the transformer is exact (`speech_model`); the
transformer's attention, which looks at everything it is given, looks at a minute instead of the whole. To
leave no step where two pieces meet, the second around it passes from one to the other. Memory does not grow
with the speech: samples are read from the file when needed and two pieces of rows are kept (120 MB).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import torch

from workers.infinitetalk.config import FPS, WINDOW
from workers.infinitetalk.loudness import TARGET_LUFS, gain_to
from workers.infinitetalk.resample import RATE, Resampled, Sound, WavFile
from workers.infinitetalk.speech_model import NormalisedSound, SpeechModel, samples_of

SAMPLES_PER_FRAME = RATE // FPS  # 640
# The published loop needs more rows than its first window has frames: 82, 3.28 s.
LEAST_FRAMES = WINDOW + 1

WHOLE_FRAMES = 60 * FPS
PIECE_FRAMES = 40 * FPS
CONTEXT_FRAMES = 10 * FPS
# Half of the second in which one piece passes into the next.
FADE_FRAMES = FPS // 2
_PIECES_KEPT = 2


class SpeechTrack:
    """One speaker's rows. `frames` rows can be asked for; the last may be of silence added to short speech."""

    def __init__(
        self,
        sound: Sound,
        model: SpeechModel,
        *,
        length: int | None = None,
        loudness: bool = False,
        whole_frames: int = WHOLE_FRAMES,
        piece_frames: int = PIECE_FRAMES,
        context_frames: int = CONTEXT_FRAMES,
        fade_frames: int = FADE_FRAMES,
    ) -> None:
        """`sound` at 16 kHz. `length`: samples to which silence is added, for a track beside a longer one.

        `loudness` brings the speech to -23 LUFS first, as published. The normalisation after it takes that
        back (rows differ by rounding), so it is off; it is there to compare with the original.
        """
        if piece_frames < 2 * fade_frames or context_frames < fade_frames:
            raise ValueError("pieces must be longer than the fades between them")
        spoken = max(sound.length, length or 0)
        self.speech_frames = spoken // SAMPLES_PER_FRAME
        self.frames = max(LEAST_FRAMES, self.speech_frames)
        gain = gain_to(TARGET_LUFS, sound) if loudness else 1.0
        self._sound = NormalisedSound(sound, max(spoken, self.frames * SAMPLES_PER_FRAME), gain)
        self._model = model
        self._whole = self.frames <= whole_frames
        self._piece, self._context, self._fade = piece_frames, context_frames, fade_frames
        self._statistics = None if self._whole else model.statistics(self._sound)
        self._kept: OrderedDict[int, tuple[int, torch.Tensor]] = OrderedDict()

    def rows(self, start: int, stop: int) -> torch.Tensor:
        """(stop - start, 12, width), fp32 on the CPU. The same numbers in whatever order they are asked for."""
        if not 0 <= start < stop <= self.frames:
            raise ValueError(f"no rows {start} .. {stop} among {self.frames}")
        if self._whole:
            return self._of_piece(0, start, stop)
        parts = []
        while start < stop:
            piece = self._piece_at(start)
            end = stop if piece == self._last_piece else min(stop, (piece + 1) * self._piece + self._fade)
            # The rows of this piece alone, then those shared with the next one.
            alone = min(end, self._alone_until(piece))
            if start < alone:
                parts.append(self._of_piece(piece, start, alone))
                start = alone
            if start < end:
                parts.append(self._shared(piece, start, end))
                start = end
        return torch.cat(parts)

    @property
    def _last_piece(self) -> int:
        return max(0, (self.frames - 1) // self._piece)

    def _piece_at(self, frame: int) -> int:
        """The piece a frame belongs to; in a fade the earlier one."""
        return min(max(0, (frame - self._fade) // self._piece), self._last_piece)

    def _alone_until(self, piece: int) -> int:
        return self.frames if piece == self._last_piece else (piece + 1) * self._piece - self._fade

    def _shared(self, piece: int, start: int, stop: int) -> torch.Tensor:
        """Rows around the end of `piece`, passing linearly into the next one."""
        begin = (piece + 1) * self._piece - self._fade
        share = (torch.arange(start, stop) - begin + 0.5) / (2 * self._fade)
        earlier = self._of_piece(piece, start, stop)
        later = self._of_piece(piece + 1, start, stop)
        return torch.lerp(earlier, later, share[:, None, None].to(earlier))

    def _of_piece(self, piece: int, start: int, stop: int) -> torch.Tensor:
        first, rows = self._kept.get(piece) or self._made(piece)
        self._kept[piece] = (first, rows)
        self._kept.move_to_end(piece)
        while len(self._kept) > _PIECES_KEPT:
            self._kept.popitem(last=False)
        return rows[start - first : stop - first]

    def _made(self, piece: int) -> tuple[int, torch.Tensor]:
        """First frame that is kept of a piece, and its rows."""
        if self._whole:
            # Everything that was spoken, as published: also the part of a frame at its end.
            samples = samples_of(self._sound, 0, self._sound.length)
            return 0, self._model.whole(samples, self.frames)
        low, high = piece * self._piece, min(self.frames, (piece + 1) * self._piece)
        heard_from = max(0, low - self._context)
        heard_to = min(self.frames, high + self._context)
        rows = self._model.stretch(self._sound, self.frames, heard_from, heard_to, self._statistics)
        kept_from = max(0, low - self._fade)
        kept_to = min(self.frames, high + self._fade)
        return kept_from, rows[kept_from - heard_from : kept_to - heard_from].clone()


def open_tracks(files: Sequence[Path], model: SpeechModel, *, loudness: bool = False) -> list[SpeechTrack]:
    """One track for each WAV. Tracks run in parallel: silence is added to all but the longest."""
    sounds = [Resampled(WavFile(path)) for path in files]
    length = max(sound.length for sound in sounds)
    return [SpeechTrack(sound, model, length=length, loudness=loudness) for sound in sounds]


def open_track(file: Path, model: SpeechModel, *, loudness: bool = False) -> SpeechTrack:
    """The only speaker's track."""
    return open_tracks([file], model, loudness=loudness)[0]
