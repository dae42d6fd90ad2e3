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
        ((545, 204), (492, 212), (432, 246), (386, 312), (363, 390), (356, 470), (352, 560), (338, 650), (330, 740), (352, 806)),
        ((538, 185), (470, 180), (395, 225), (345, 300), (318, 390), (308, 480), (304, 570), (298, 660), (292, 750), (312, 826)),
        ((533, 150), (455, 140), (370, 185), (318, 275), (293, 380), (282, 480), (275, 580), (266, 670), (262, 760), (284, 836)),
        ((530, 104), (450, 112), (362, 156), (306, 240), (283, 350), (270, 470), (258, 580), (245, 680), (242, 770), (268, 842)),
    ),
    strands=5200,
)  # fmt: skip
_ARIA_RIGHT = Lock(
    guides=(
        ((546, 204), (578, 210), (618, 240), (648, 304), (662, 380), (668, 470), (673, 560), (686, 650), (694, 740), (672, 808)),
        ((541, 185), (590, 180), (648, 218), (690, 300), (706, 390), (716, 480), (720, 570), (727, 660), (733, 750), (714, 824)),
        ((537, 150), (590, 138), (660, 180), (708, 270), (731, 380), (743, 480), (749, 580), (759, 670), (762, 760), (742, 834)),
        ((531, 104), (585, 110), (664, 154), (718, 240), (742, 350), (755, 470), (767, 580), (780, 680), (783, 770), (756, 840)),
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
    strands=1500, base_light=-0.16, bulge=-40, fill=(0.0, 1.0),
)  # fmt: skip

ARIA = Character("aria", 20, FaceShape(), Look(), (_ARIA_LEFT, _ARIA_RIGHT), (_ARIA_BACK,))
CAST = {c.name: c for c in (ARIA,)}
