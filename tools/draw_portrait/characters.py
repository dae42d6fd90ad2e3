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
        ((538, 123), (494, 123), (440, 135), (362, 177), (306, 253), (283, 354), (266, 470), (258, 560), (256, 650), (266, 735), (302, 808)),
    ),
    strands=5200,
)  # fmt: skip
_ARIA_RIGHT = Lock(  # tucked behind the ear
    guides=(
        ((541, 220), (578, 225), (616, 250), (645, 300), (662, 345), (683, 385), (695, 430), (698, 500), (696, 600), (700, 700), (688, 784)),
        ((536, 202), (590, 198), (645, 230), (682, 295), (701, 360), (713, 420), (719, 500), (716, 600), (716, 700), (702, 796)),
        ((532, 170), (590, 159), (660, 198), (706, 280), (728, 370), (738, 450), (741, 540), (738, 650), (732, 735), (710, 804)),
        ((530, 123), (572, 123), (618, 139), (666, 175), (718, 253), (740, 354), (752, 460), (757, 560), (756, 650), (746, 735), (718, 806)),
    ),
    strands=4600,
)  # fmt: skip
_ARIA_BACK = Lock(
    guides=(
        ((385, 280), (335, 450), (320, 620), (312, 760), (340, 820)),
        ((470, 330), (450, 480), (440, 620), (430, 740), (440, 800)),
        ((554, 330), (574, 480), (584, 620), (594, 740), (584, 800)),
        ((660, 280), (704, 450), (712, 620), (712, 760), (684, 820)),
    ),
    strands=1500, base_light=-0.05, wisps=0, clumps=20, wave=5.0, bulge=-40.0, fill=(0.0, 1.0),
)  # fmt: skip

ARIA = Character("aria", 20, FaceShape(), Look(), (_ARIA_LEFT, _ARIA_RIGHT), (_ARIA_BACK,))

_LEO_SHAPE = FaceShape(
    half_width=(
        (118, 30), (140, 84), (180, 121), (230, 143), (290, 152), (345, 155.5), (400, 155), (440, 153), (480, 149),
        (520, 143), (552, 135), (580, 124), (604, 109), (626, 91), (645, 68), (658, 44), (665.5, 24), (669, 9), (670, 0),
    ),
    depth=114, eye_half=35.5, eye_x=71.5, nose_width=37, nose_height=50, nose_tip_y=494, nose_base_y=510, mouth_y=569,
    mouth_half=58, upper_lip=13.5, lower_lip=19, chin_y=641, jaw_bulk=4, neck_half=86, ear_x=158,
)  # fmt: skip
_LEO_LOOK = Look(
    skin=(
        (0.0, "#43211a"), (0.16, "#744031"), (0.34, "#a97159"), (0.52, "#ca987c"), (0.70, "#e0b599"),
        (0.86, "#eecbb2"), (1.05, "#f8dfcb"), (1.25, "#fff0e4"),
    ),
    lips=((0.0, "#43201d"), (0.3, "#86473c"), (0.55, "#a9665a"), (0.8, "#c4867a"), (1.2, "#e4b2a6")),
    lip_strength=0.72, blush=0.20, lashes=0.55, eye_open=0.90, iris_radius=16.0, eye_shadow="#deb49f",
    brow="#1d1310", brow_thickness=13.0, brow_hairs=560, brow_length=1.12, brow_lift=0.5,
    brow_spine=((-42, -41), (-24, -45), (0, -48), (22, -50), (38, -47), (52, -39)),
    hair_dark="#0c0909", hair_mid="#261c19", hair_light="#66503f", hair_shine="#a98c74",
    jacket="#2e3033", jacket_dark="#141517", jacket_light="#74787d", blouse="#dfe6ee", blouse_dark="#7d8894",
    necklace="", earring=False, ears=(-1, 1), stubble=0.22,
    wall=((0.0, "#4b4139"), (0.35, "#83766a"), (0.65, "#b8ab9d"), (1.0, "#e8ddcf")),
)  # fmt: skip
_LEO_TOP = Lock(  # parted on the right of the picture, combed up and over to the left
    guides=(
        ((384, 292), (360, 262), (352, 226), (352, 196), (358, 176), (366, 164)),
        ((398, 256), (372, 226), (362, 192), (362, 164), (374, 146), (394, 140)),
        ((430, 236), (398, 206), (384, 172), (388, 144), (404, 128), (432, 122)),
        ((480, 228), (440, 200), (418, 166), (420, 134), (442, 116), (476, 112)),
        ((536, 226), (498, 204), (466, 168), (464, 132), (488, 112), (530, 108)),
        ((588, 232), (564, 206), (532, 170), (524, 136), (546, 114), (586, 116)),
        ((622, 250), (614, 220), (600, 184), (592, 150), (602, 128), (622, 130)),
        ((640, 286), (654, 250), (660, 216), (657, 188), (650, 168), (642, 154)),
    ),
    strands=7600, clumps=52, wave=2.0, bulge=22.0, fill=(0.02, 0.98), body=1.0, wisps=60, root_inset=2, root_jitter=3.5,
    base_light=0.05,
)  # fmt: skip
_LEO_SIDES = tuple(
    Lock(
        guides=tuple(
            tuple((512 + side * (512 - x), y) for x, y in g)
            for g in (
                ((392, 262), (376, 290), (366, 320), (362, 352), (361, 382), (363, 408)),
                ((376, 214), (360, 254), (353, 296), (351, 336), (352, 366), (354, 394)),
                ((382, 186), (357, 218), (345, 262), (342, 306), (344, 340), (347, 364)),
            )
        ),
        strands=1500, clumps=16, wave=0.5, bulge=6.0, fill=(0.06, 1.0), wisps=30, base_light=-0.02,
    )
    for side in (1, -1)
)  # fmt: skip
LEO = Character("leo", 31, _LEO_SHAPE, _LEO_LOOK, (*_LEO_SIDES, _LEO_TOP), ())
CAST = {c.name: c for c in (ARIA, LEO)}
