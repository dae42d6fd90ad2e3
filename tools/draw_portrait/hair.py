"""Hair: families of strands between guide curves, lit along their length.

Developer tool. A `Lock` is a list of guide curves from its inner to its outer edge, each from root to tip.
Strand colour follows Kajiya and Kay's hair model ("Rendering fur with three dimensional textures", 1989): the
highlight depends on the angle between the light's half vector and the strand's tangent.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from . import light
from .canvas import Canvas, Image, Point, ramp, rgb, spline
from .look import Look

STEPS = 64  # points per strand


@dataclass(frozen=True)
class Lock:
    """One mass of hair. `bulge` is how far the middle of the mass stands out towards the viewer."""

    guides: tuple[tuple[Point, ...], ...]
    strands: int
    bulge: float = 26.0
    wave: float = 12.0
    clumps: int = 46
    root_inset: int = 0  # the solid part begins this many steps after the roots
    root_jitter: float = 1.1  # how unevenly strands begin, in steps along the strand
    body: float = 0.93  # the solid part ends here along the strand; below, only strands
    wisps: int = 110
    base_light: float = 0.0
    fill: tuple[float, float] = (0.05, 0.97)
    fringe: float = 0.03  # how far strands stray past the edges, as a share of the mass's width


class _Field:
    """Positions (u across, t along) -> design coordinates, smooth in both."""

    def __init__(self, lock: Lock) -> None:
        self.g = np.stack([spline(g, STEPS) for g in lock.guides]).astype(np.float64)
        self.k = np.linspace(0, 1, len(lock.guides))

    def at(self, u: Image) -> Image:
        """u (STEPS,) -> (STEPS, 2): each step may sit at its own u."""
        out = np.empty((STEPS, 2))
        m = len(self.k)
        f = np.asarray(u) * (m - 1)
        i = np.clip(np.floor(f).astype(int), 0, m - 2)
        w = (f - i)[:, None]
        s = np.arange(STEPS)
        a, b = self.g[np.clip(i - 1, 0, m - 1), s], self.g[i, s]
        c, d = self.g[i + 1, s], self.g[np.clip(i + 2, 0, m - 1), s]
        out = b + 0.5 * w * (c - a + w * (2 * a - 5 * b + 4 * c - d + w * (3 * (b - c) + d - a)))
        lin = b + w * (c - b)
        return np.asarray(np.where((w < 0) | (w > 1), lin, out), np.float32)


def lock_outline(lock: Lock) -> Image:
    """Closed outline of the solid part of a mass."""
    f, end = _Field(lock), int(lock.body * STEPS)
    across = np.linspace(*lock.fill, 48)
    grid = np.stack([f.at(np.full(STEPS, u, np.float32))[:end] for u in across])  # (48, end, 2)
    first, last = grid[0], grid[-1][::-1]
    return np.asarray(
        np.vstack([first, grid[:, -1], last, grid[::-1, min(lock.root_inset, end - 1)]]), np.float32
    )


def _skull_height(p: Image) -> Image:
    dx, dy = (p[:, 0] - 512) / 290, 45 * np.log1p(np.exp((350 - p[:, 1]) / 45)) / 265
    return np.asarray(190 * np.sqrt(np.clip(1 - dx * dx - dy * dy, 0.02, 1)), np.float32)


def paint_locks(
    cv: Canvas, picture: Image, locks: Sequence[Lock], look: Look, rng: np.random.Generator
) -> tuple[Image, Image]:
    """Returns the picture with the hair on it, and the hair's coverage (h, w) in 0..1."""
    layer = np.zeros((cv.h, cv.w, 3), np.uint8)
    cover = np.zeros((cv.h, cv.w), np.uint8)
    stops = ((0.0, look.hair_dark), (0.45, look.hair_mid), (1.0, look.hair_light), (1.5, look.hair_shine))
    half = (light.KEY + light.VIEW) / np.linalg.norm(light.KEY + light.VIEW)
    dark = tuple(round(float(c) * 255) for c in ramp(stops, np.array([[0.05]], np.float32))[0, 0])
    table = np.round(ramp(stops, np.linspace(0, 1.5, 301, dtype=np.float32)[None])[0] * 255).astype(int)
    for lock in locks:
        body = [cv.px(lock_outline(lock))]
        cv2.fillPoly(layer, body, dark, cv2.LINE_AA, 6)
        cv2.fillPoly(cover, body, 255, cv2.LINE_AA, 6)
    for lock in locks:
        for points, tones, thick in _strands(lock, rng, half):
            q, bgr = cv.px(points), table[np.clip(tones * 200, 0, 300).astype(int)]
            for k in range(len(q) - 1):
                w = thick if k < 0.8 * len(q) else 1
                cv2.line(layer, q[k], q[k + 1], tuple(bgr[k].tolist()), w, cv2.LINE_AA, 6)
                cv2.line(cover, q[k], q[k + 1], 255, w, cv2.LINE_AA, 6)
    alpha = cv.blur(cover.astype(np.float32) / 255, 0.25)
    colour = layer.astype(np.float32) / 255
    # strands were blended towards black outside the mass: undo it, so edges keep their colour
    colour = colour / np.maximum(cover.astype(np.float32) / 255, 0.25)[..., None]
    out = np.asarray(picture + (np.clip(colour, 0, 1) - picture) * alpha[..., None], np.float32)
    return _wisps(cv, out, locks, look, rng), alpha


def _strands(lock: Lock, rng: np.random.Generator, half: Image) -> Iterator[tuple[Image, Image, int]]:
    """Yields (points (n, 2), tones (n,), thickness px), the deepest ringlet first.

    A mass is made of `clumps` ringlets, each a tapering ribbon with its own wave, round in section: strands in
    its middle stand out and catch light, strands at its rim sink into shade.
    """
    f = _Field(lock)
    t = np.linspace(0, 1, STEPS)
    centres = (np.arange(lock.clumps) + rng.uniform(0.1, 0.9, lock.clumps)) / lock.clumps
    order = rng.permutation(lock.clumps)
    per = lock.strands // lock.clumps
    rim_half = np.array([0.86, -0.36, 0.36], np.float32)
    for rank, c in enumerate(order):
        u_c = centres[c]
        top = rank / lock.clumps  # 0 deepest .. 1 on top
        spread = rng.uniform(0.030, 0.062) * (1 if lock.clumps > 12 else 2)
        phase = 3.0 * u_c + rng.normal(0, 0.55)
        reach = lock.wave * rng.uniform(0.6, 1.25)
        grow = np.clip((t - 0.30) / 0.5, 0, 1) ** 1.2
        wave = 2 * np.pi * 2.15 * t + phase
        sway = reach * np.sin(wave) * grow
        heave = 0.9 * reach * np.cos(wave) * grow
        drift = rng.normal(0, 0.03) * t**1.6
        end = rng.uniform(0.95, 1.0)
        taper = np.interp(t / end, [0, 0.08, 0.62, 1.0], [0.9, 1.0, 1.0, 0.95])
        tone_c = rng.normal(0, 0.10) - 0.10 * (1 - top)
        for s in range(per):
            rise = s / per
            v = rng.uniform(-1, 1) if rise < 0.6 else rng.normal(0, 0.42)
            v_t = (
                v * taper
                + rng.normal(0, 0.05)
                + 0.12 * np.sin(2 * np.pi * rng.uniform(0.6, 1.6) * t + rng.uniform(0, 6))
            )
            u = np.clip(u_c + drift + spread * v_t, -lock.fringe, 1 + lock.fringe)
            p = f.at(np.asarray(u, np.float32))
            p[:, 0] += sway * (1 + 0.10 * v)
            z = _skull_height(p) + lock.bulge * np.sin(np.pi * np.clip(u, 0, 1)) + heave
            g = np.gradient(np.column_stack([p, z]), axis=0)
            g /= np.linalg.norm(g, axis=1, keepdims=True)
            th, tl = g @ half, g @ light.KEY
            shine = np.sqrt(np.clip(1 - (th + 0.06 + 0.03 * v) ** 2, 0, 1)) ** 90
            broad = np.sqrt(np.clip(1 - (th - 0.12) ** 2, 0, 1)) ** 18
            soft = np.sqrt(np.clip(1 - tl**2, 0, 1))
            rim = np.sqrt(np.clip(1 - (g @ rim_half) ** 2, 0, 1)) ** 8
            side = np.clip(0.78 - 0.45 * (p[:, 0] - 512) / 270, 0.34, 1.2)
            round_ = 0.42 + 0.58 * np.sqrt(np.clip(1 - (0.92 * np.clip(v, -1, 1)) ** 2, 0, 1)) - 0.10 * v
            edge = 0.55 + 0.45 * np.sin(np.pi * np.clip(u * 0.88 + 0.06, 0, 1)) ** 0.5
            tone = 0.09 + (0.30 * soft + 0.42 * broad + 0.50 * shine * (0.45 + 0.55 * rise)) * side
            tone = tone * round_ * edge * np.clip(0.5 + 6 * t, 0, 1) * (0.70 + 0.45 * rise)
            tone += 0.20 * rim * np.clip((p[:, 0] - 640) / 120, 0, 1) * round_
            tone += tone_c * (0.4 + tone) + rng.normal(0, 0.035) + lock.base_light
            tone *= np.interp(t, [0, 0.6, 1], [1, 1, 0.78])
            last = max(
                8,
                int(STEPS * min(1.0, end + rng.normal(0, 0.014) - 0.02 * abs(v) - 0.09 * rng.random() ** 2)),
            )
            k = np.arange(
                rng.uniform(0, lock.root_jitter), last - 1, 0.5
            )  # no two strands change tone at the same place
            p = np.stack(
                [np.interp(k, np.arange(STEPS), p[:, 0]), np.interp(k, np.arange(STEPS), p[:, 1])], 1
            )
            yield (
                p,
                np.interp(k, np.arange(STEPS), tone),
                int(rng.choice([1, 2, 3], p=[0.5, 0.38, 0.12])) if rise < 0.7 else 1,
            )


def _wisps(cv: Canvas, picture: Image, locks: Sequence[Lock], look: Look, rng: np.random.Generator) -> Image:
    """Loose single hairs: short ones along the hairline, fly-aways outside the mass."""
    ink = np.zeros((cv.h, cv.w), np.uint8)
    for lock in locks:
        f = _Field(lock)
        for _ in range(lock.wisps):
            inner = rng.random() < 0.5
            u0 = -abs(rng.normal(0, 0.035)) if inner else 1 + abs(rng.normal(0, 0.030))
            a = int(rng.uniform(0, 0.30 if inner and rng.random() < 0.7 else 0.8) * STEPS)
            b = min(STEPS, a + int(rng.uniform(0.08, 0.30) * STEPS))
            k = np.arange(STEPS)
            ease = np.clip((k - a) / max(1, b - a), 0, 1)
            base = 0.03 if inner else 0.985
            u = base + (u0 - base) * np.sin(np.pi * ease * rng.uniform(0.55, 1.0))
            p = f.at(np.asarray(u, np.float32))[a:b]
            if len(p) > 3:
                cv2.polylines(
                    ink, [cv.px(p)], False, int(rng.integers(30, 80 if inner else 130)), 1, cv2.LINE_AA, 6
                )
    alpha = cv.blur(ink.astype(np.float32) / 255, 0.3)
    tone = rgb(look.hair_mid)
    return np.asarray(picture + (tone - picture) * alpha[..., None], np.float32)
