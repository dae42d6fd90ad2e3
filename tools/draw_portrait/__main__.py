"""`python -m tools.draw_portrait NAME OUT.png [--scale S]`: draws one portrait. Developer tool."""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2

from .characters import CAST
from .painter import paint


def main() -> None:
    """Parse, paint, write PNG (sRGB) and, beside it, a 512-pixel JPEG thumbnail."""
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("name", choices=sorted(CAST))
    ap.add_argument("out", type=Path)
    ap.add_argument("--scale", type=float, default=2.0)
    a = ap.parse_args()
    bgr = cv2.cvtColor(paint(CAST[a.name], a.scale), cv2.COLOR_RGB2BGR)
    cv2.imwrite(str(a.out), bgr, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    small = cv2.resize(bgr, (512, 512), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(a.out.with_name(a.out.stem + "_512.jpg")), small, [cv2.IMWRITE_JPEG_QUALITY, 92])


if __name__ == "__main__":
    main()
