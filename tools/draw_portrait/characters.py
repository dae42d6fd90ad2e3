"""The cast: shape, look and hair of each bundled portrait. Developer tool; values only.

Nobody in particular: proportions come from textbook facial canons, then were tuned by eye.
"""

from __future__ import annotations

from dataclasses import dataclass

from .hair import Lock
from .look import Look
from .sculpt import FaceShape


@dataclass(frozen=True)
class Character:
    """All that is needed to draw one portrait."""

    name: str
    seed: int
    shape: FaceShape
    look: Look
    front: tuple[Lock, ...]
    back: tuple[Lock, ...]


_ARIA_LEFT = Lock(
    guides=(
        ((549, 220), (492, 227), (432, 258), (386, 319), (363, 391), (356, 470), (352, 560), (340, 650), (338, 725), (352, 784)),
        ((542, 202), (470, 198), (395, 239), (345, 308), (318, 391), (308, 480), (306, 570), (304, 660), (310, 738), (332, 800)),
        ((537, 170), (455, 161), (370, 202), (318, 285), (293, 382), (280, 480), (276, 570), (275, 660), (285, 740), (316, 806)),
        ((538, 124), (450, 135), (362, 176), (306, 253), (283, 354), (266, 470), (258, 560), (256, 650), (266, 735), (302, 808)),
    ),
    strands=5200,
)  # fmt: skip
_ARIA_RIGHT = Lock(
    guides=(
        ((541, 220), (578, 225), (618, 253), (648, 312), (662, 382), (668, 470), (673, 560), (684, 650), (686, 725), (672, 786)),
        ((536, 202), (590, 198), (648, 233), (690, 308), (706, 391), (716, 480), (720, 570), (722, 660), (716, 738), (692, 800)),
        ((532, 170), (590, 159), (660, 198), (708, 280), (731, 382), (743, 480), (749, 570), (750, 660), (740, 740), (708, 806)),
        ((530, 124), (585, 133), (664, 174), (718, 253), (742, 354), (758, 470), (767, 560), (769, 650), (758, 735), (722, 808)),
    ),
    strands=4600,
)  # fmt: skip
_ARIA_BACK = Lock(
    guides=(
        ((385, 280), (335, 450), (320, 620), (312, 760), (340, 820)),
        ((470, 330), (450, 480), (440, 620), (430, 740), (440, 800)),
        ((554, 330), (574, 480), (584, 620), (594, 740), (584, 800)),
        ((640, 280), (690, 450), (704, 620), (712, 760), (684, 820)),
    ),
    strands=1500, base_light=-0.05, wisps=0, clumps=20, wave=5.0, bulge=-40.0, fill=(0.0, 1.0),
)  # fmt: skip

ARIA = Character("aria", 20, FaceShape(), Look(), (_ARIA_LEFT, _ARIA_RIGHT), (_ARIA_BACK,))
CAST = {c.name: c for c in (ARIA,)}
