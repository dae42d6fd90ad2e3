"""Sounds and the mouths that make them. Runs in the draft worker; tables only.

A viseme is a class of sounds that look alike (the 15 classes of the viseme net, after MPEG-4 and the Oculus
set). Each has a mouth shape in six channels and says how firmly it insists on each channel: a "b" insists on
closed lips and leaves the rounding to its neighbours, an "oo" insists on rounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from workers.draft.arrays import F32

# Channels of a mouth shape. `open`: inner lip gap in mouth widths; the others 0..1 of their full extent.
CHANNELS = ("open", "spread", "pucker", "upper_raise", "lower_drop", "press")
OPEN, SPREAD, PUCKER, UPPER_RAISE, LOWER_DROP, PRESS = range(6)

# Order of the classes in the viseme net's output.
VISEMES = ("sil", "PP", "FF", "TH", "DD", "kk", "CH", "SS", "nn", "RR", "aa", "E", "I", "O", "U")


@dataclass(frozen=True)
class MouthShape:
    """Target of one viseme (`CHANNELS` order) and its dominance per channel (1 = an ordinary vowel).

    `reach_s`: how far before and after the sound its shape is felt (coarticulation).
    """

    target: tuple[float, float, float, float, float, float]
    dominance: tuple[float, float, float, float, float, float]
    reach_s: float


def _shape(
    target: tuple[float, float, float, float, float, float],
    jaw: float,
    lips: float,
    lift: float,
    reach_s: float,
) -> MouthShape:
    return MouthShape(target, (jaw, lips, lips, lift, lift, 2 * jaw), reach_s)


SHAPES: MappingProxyType[str, MouthShape] = MappingProxyType(
    {
        #             open  spread pucker raise drop press    jaw lips lift reach
        "sil": _shape((0.0, 0.0, 0.0, 0.0, 0.0, 0.0), 1.0, 0.7, 1.0, 0.060),
        "PP": _shape((0.0, 0.0, 0.05, 0.0, 0.0, 0.80), 5.0, 0.15, 2.0, 0.030),
        "FF": _shape((0.030, 0.10, 0.0, 0.40, 0.0, 0.0), 3.0, 0.4, 2.5, 0.035),
        "TH": _shape((0.085, 0.10, 0.0, 0.05, 0.10, 0.0), 1.2, 0.3, 0.8, 0.040),
        "DD": _shape((0.080, 0.12, 0.0, 0.10, 0.12, 0.0), 0.9, 0.2, 0.6, 0.040),
        "kk": _shape((0.105, 0.08, 0.0, 0.05, 0.05, 0.0), 0.5, 0.15, 0.5, 0.045),
        "CH": _shape((0.075, -0.05, 0.60, 0.30, 0.35, 0.0), 2.0, 1.3, 1.5, 0.055),
        "SS": _shape((0.050, 0.35, 0.0, 0.15, 0.30, 0.0), 2.0, 0.6, 1.2, 0.045),
        "nn": _shape((0.070, 0.10, 0.0, 0.05, 0.05, 0.0), 0.7, 0.2, 0.5, 0.040),
        "RR": _shape((0.085, 0.0, 0.38, 0.08, 0.12, 0.0), 0.9, 0.9, 0.8, 0.055),
        "aa": _shape((0.330, 0.05, 0.0, 0.12, 0.18, 0.0), 1.2, 0.8, 1.0, 0.060),
        "E": _shape((0.195, 0.38, 0.0, 0.14, 0.16, 0.0), 1.0, 0.8, 1.0, 0.060),
        "I": _shape((0.105, 0.65, 0.0, 0.16, 0.18, 0.0), 1.0, 1.0, 1.0, 0.060),
        "O": _shape((0.235, -0.05, 0.62, 0.02, 0.08, 0.0), 1.1, 1.4, 1.0, 0.070),
        "U": _shape((0.085, -0.05, 0.95, 0.02, 0.02, 0.0), 1.1, 1.7, 1.0, 0.085),
    }
)
TARGETS: F32 = np.array([SHAPES[name].target for name in VISEMES], np.float32)

# Symbols that are silence: punctuation and the word space.
SILENCE = frozenset(' ^$,.!?;:—…"()“”')
# Marks that lengthen or colour the sound before them and make no mouth of their own: length, aspiration,
# palatalisation, nasality, compressed rounding, and the tone arrows of Chinese.
MODIFIERS = frozenset("ːʰʲ\u0303ᵝ↓→↗↘")
# Stress marks belong to the sound after them.
STRESS = frozenset("ˈˌ")


def _sounds() -> dict[str, tuple[str, ...]]:
    table: dict[str, tuple[str, ...]] = {}
    for symbols, visemes in (
        ("ɑaɐæʌ", ("aa",)),
        ("ɔoɒœ", ("O",)),
        ("əɛeɤᵊɘ", ("E",)),
        ("ɚɜɝ", ("RR",)),
        ("ɪiɨᵻjʝy", ("I",)),
        ("ʊuɯʉwɥøɰ", ("U",)),
        # Diphthongs are single capitals in Kokoro's alphabet.
        ("A", ("E", "I")),
        ("I", ("aa", "I")),
        ("W", ("aa", "U")),
        ("O", ("O", "U")),
        ("Y", ("O", "I")),
        ("Q", ("E", "U")),
        ("pbmɸβ", ("PP",)),
        ("fvɱʋ", ("FF",)),
        ("θð", ("TH",)),
        ("tdlɾTɖʈʎɟ", ("DD",)),
        ("nɲɳŋɴ", ("nn",)),
        ("kɡghxɣqχcçʔ", ("kk",)),
        ("ʃʒʧʤʂʐꭧ", ("CH",)),
        ("szʦʣɕʨʥS", ("SS",)),
        ("ɹrɻʁɽ", ("RR",)),
    ):
        for symbol in symbols:
            table[symbol] = visemes
    # Front rounded vowels look rounded whatever the tongue does.
    table["y"] = ("U",)
    # The Japanese bilabial fricative leaves the lips a slit, as f does.
    table["ɸ"] = ("FF",)
    table["β"] = ("FF",)
    return table


SOUNDS: MappingProxyType[str, tuple[str, ...]] = MappingProxyType(_sounds())


def visemes_of(symbol: str) -> tuple[str, ...] | None:
    """Visemes of one phoneme symbol in time order; None for marks that continue a neighbour's mouth."""
    if symbol in SILENCE:
        return ("sil",)
    return SOUNDS.get(symbol)
