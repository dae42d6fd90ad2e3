"""Names for the points of MediaPipe's face mesh (478 points, 468 of them on the skin). Runs in the draft worker.

Order along every lip row: the subject's right corner (left in the picture) to the left corner, 11 points.
Source: MediaPipe face_mesh_connections and the canonical face model (Apache-2.0), which number the points.
"""

from __future__ import annotations

from dataclasses import dataclass

SKIN_POINTS = 468
ALL_POINTS = 478

# Lip rows from the outer border of the red to its inner border, upper and lower lip.
UPPER_OUTER = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291)
UPPER_MID = (76, 184, 74, 73, 72, 11, 302, 303, 304, 408, 306)
UPPER_NEAR = (62, 183, 42, 41, 38, 12, 268, 271, 272, 407, 292)
UPPER_INNER = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
LOWER_OUTER = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291)
LOWER_MID = (76, 77, 90, 180, 85, 16, 315, 404, 320, 307, 306)
LOWER_NEAR = (62, 96, 89, 179, 86, 15, 316, 403, 319, 325, 292)
LOWER_INNER = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
UPPER_ROWS = (UPPER_INNER, UPPER_NEAR, UPPER_MID, UPPER_OUTER)
LOWER_ROWS = (LOWER_INNER, LOWER_NEAR, LOWER_MID, LOWER_OUTER)
LIP_CORNERS = frozenset({61, 76, 62, 78, 291, 306, 292, 308})
UPPER_LIP = frozenset(point for row in UPPER_ROWS for point in row[1:-1])
LOWER_LIP = frozenset(point for row in LOWER_ROWS for point in row[1:-1])

RIGHT_CORNER, LEFT_CORNER = 61, 291
UPPER_LIP_MIDDLE, LOWER_LIP_MIDDLE = 13, 14
FOREHEAD_TOP, CHIN_BOTTOM, BETWEEN_EYES = 10, 152, 168
RIGHT_EAR, LEFT_EAR = 234, 454
RIGHT_EYE_OUTER, LEFT_EYE_OUTER = 33, 263
JAW_ANGLES = (172, 397)
UPPER_LIDS_MIDDLE = (159, 386)
# Skin that carries the complexion and no shadow of its own: cheeks, nose bridge, forehead, chin.
COMPLEXION = (50, 280, 205, 425, 4, 9, 151)

FACE_OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip


@dataclass(frozen=True)
class Eye:
    """Rows of one eye, each 9 points from one corner to the other; the two lid rows share their ends."""

    upper: tuple[int, ...]
    lower: tuple[int, ...]
    crease: tuple[int, ...]
    above_crease: tuple[int, ...]
    under_lower: tuple[int, ...]
    brow: tuple[int, ...]


RIGHT_EYE = Eye(
    upper=(33, 246, 161, 160, 159, 158, 157, 173, 133),
    lower=(33, 7, 163, 144, 145, 153, 154, 155, 133),
    crease=(130, 247, 30, 29, 27, 28, 56, 190, 243),
    above_crease=(226, 113, 225, 224, 223, 222, 221, 189, 244),
    under_lower=(130, 25, 110, 24, 23, 22, 26, 112, 243),
    brow=(70, 63, 105, 66, 107, 46, 53, 52, 65, 55),
)
LEFT_EYE = Eye(
    upper=(263, 466, 388, 387, 386, 385, 384, 398, 362),
    lower=(263, 249, 390, 373, 374, 380, 381, 382, 362),
    crease=(359, 467, 260, 259, 257, 258, 286, 414, 463),
    above_crease=(446, 342, 445, 444, 443, 442, 441, 413, 464),
    under_lower=(359, 255, 339, 254, 253, 252, 256, 341, 463),
    brow=(300, 293, 334, 296, 336, 276, 283, 282, 295, 285),
)
EYES = (RIGHT_EYE, LEFT_EYE)

# Which mesh points the network's refined outputs describe, in the order of those outputs.
REFINED_LIPS = (
    61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 185, 40, 39, 37, 0, 267, 269, 270, 409,
    78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 191, 80, 81, 82, 13, 312, 311, 310, 415,
    76, 77, 90, 180, 85, 16, 315, 404, 320, 307, 306, 184, 74, 73, 72, 11, 302, 303, 304, 408,
    62, 96, 89, 179, 86, 15, 316, 403, 319, 325, 292, 183, 42, 41, 38, 12, 268, 271, 272, 407,
)  # fmt: skip
REFINED_RIGHT_EYE = (
    33, 7, 163, 144, 145, 153, 154, 155, 133, 246, 161, 160, 159, 158, 157, 173,
    130, 25, 110, 24, 23, 22, 26, 112, 243, 247, 30, 29, 27, 28, 56, 190,
    226, 31, 228, 229, 230, 231, 232, 233, 244, 113, 225, 224, 223, 222, 221, 189,
    35, 124, 46, 53, 52, 65, 143, 111, 117, 118, 119, 120, 121, 128, 245, 156, 70, 63, 105, 66, 107, 55, 193,
)  # fmt: skip
REFINED_LEFT_EYE = (
    263, 249, 390, 373, 374, 380, 381, 382, 362, 466, 388, 387, 386, 385, 384, 398,
    359, 255, 339, 254, 253, 252, 256, 341, 463, 467, 260, 259, 257, 258, 286, 414,
    446, 261, 448, 449, 450, 451, 452, 453, 464, 342, 445, 444, 443, 442, 441, 413,
    265, 353, 276, 283, 282, 295, 372, 340, 346, 347, 348, 349, 350, 357, 465, 383, 300, 293, 334, 296, 336,
    285, 417,
)  # fmt: skip
RIGHT_IRIS = (468, 469, 470, 471, 472)
LEFT_IRIS = (473, 474, 475, 476, 477)
