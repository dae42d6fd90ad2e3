"""Finding a better voice trial by trial. Runs in the speech worker, in the background.

Flow: surrogate told of the built-in timbres and of the first match -> each round: the point where it expects the
most -> spoken, heard, told -> after the last round the points it believes in most are spoken whole. What is looked
for is likeness on the mean over all sentences, not on one of them, with a charge for straying far from voices that
exist: those are understood less well, and likeness to one encoder there is worth little to another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from workers.speech.match.profile import Profile
from workers.speech.match.signals import F64
from workers.speech.match.surrogate import PRIOR, PRIOR_NOISE, Surrogate
from workers.speech.match.trials import POINT_SIZE, Studio

# Trials of one refinement; each speaks about two seconds.
TRIALS = 48
# Points beyond this many standard deviations are not tried.
LIMIT = 2.6
# Likeness given up per mean squared coordinate, and per step further from the best than a round may go.
_STRAY_COST = 0.005
_LEAP, _LEAP_COST = 2.0, 0.05
# Proposals per round: starts around the three best, then improved by small steps.
_STARTS, _BEST, _KEPT, _OFFSPRING, _GENERATIONS = 400, 3, 50, 500, 6
_START_SCALES = (0.2, 0.5, 1.0)
_START_SHARE = 0.6
_STEP, _SHRINK = 0.25, 0.8
# How many points are spoken whole at the end.
FINALISTS = 2


class Search:
    """One refinement: ask for a point, tell how it sounded."""

    def __init__(self, studio: Studio, origin: F64, prior_points: F64, prior_vectors: F64, seed: int) -> None:
        """`prior_points` (n, 22) with `prior_vectors` (n, 512): what the built-in timbres are known to give."""
        self._studio = studio
        self._random = np.random.default_rng(seed)
        self._surrogate = Surrogate(origin)
        for point, vector in zip(prior_points, prior_vectors, strict=True):
            self._surrogate.tell(point, PRIOR, vector, PRIOR_NOISE)

    def tell(self, point: F64, sentence: int, vectors: F64) -> None:
        """This point, saying this sentence, had these speaker vectors."""
        self._surrogate.tell(point, sentence, vectors)

    def best(self, count: int) -> list[F64]:
        """The points among those spoken that promise most, best first."""
        self._surrogate.fit(len(self._studio.sentences))
        spoken = np.unique(self._surrogate.spoken(), axis=0)
        order = np.argsort(-self._promise(spoken), kind="stable")
        return [spoken[index] for index in order[:count]]

    def ask(self) -> F64:
        """The point to try next."""
        random = self._random
        leaders = self.best(_BEST)
        starts = []
        for leader in leaders:
            scale = random.choice(_START_SCALES, size=(_STARTS, 1))
            step = random.normal(size=(_STARTS, POINT_SIZE)) * scale
            starts.append(leader + step * (random.random((_STARTS, POINT_SIZE)) < _START_SHARE))
        points = np.clip(np.concatenate(starts), -LIMIT, LIMIT)
        for generation in range(_GENERATIONS):
            kept = points[np.argsort(-self._worth(points, leaders[0]), kind="stable")[:_KEPT]]
            step = random.normal(size=(_OFFSPRING, POINT_SIZE)) * _STEP * _SHRINK**generation
            children = kept[random.integers(0, len(kept), _OFFSPRING)] + step
            points = np.clip(np.concatenate([kept, children]), -LIMIT, LIMIT)
        return np.asarray(points[int(np.argmax(self._worth(points, leaders[0])))], np.float64)

    def _promise(self, points: F64) -> F64:
        likeness = self._studio.target.likeness(self._surrogate.guess(points))
        return np.asarray(likeness - _STRAY_COST * (points**2).mean(axis=1), np.float64)

    def _worth(self, points: F64, leader: F64) -> F64:
        leap = np.maximum(np.linalg.norm(points - leader, axis=1) - _LEAP, 0.0)
        return np.asarray(self._promise(points) - _LEAP_COST * leap, np.float64)


def refine(
    studio: Studio,
    start: Profile,
    prior: tuple[F64, F64],
    *,
    trials: int,
    seed: int,
    report: Callable[[int, int], None],
) -> Profile:
    """The best profile found from `start` on, `start` measured again when nothing is better.

    `prior`: points and vectors of the built-in timbres. `report(done, of)` is called after each trial and may raise.
    Raises SynthesisStopped when the studio is cancelled.
    """
    count = len(studio.sentences)
    total = trials + FINALISTS * count
    origin = studio.point(start)
    search = Search(studio, origin, *prior, seed)
    takes = []
    for index in range(count):
        takes.append(studio.speak(studio.profile(origin), index))
        search.tell(origin, index, studio.hear(takes[-1]))
        report(index + 1, total)
    found = [studio.finish(studio.profile(origin), takes, start.trials + trials)]
    for trial in range(count, trials):
        point = search.ask()
        sentence = trial % count
        search.tell(point, sentence, studio.hear(studio.speak(studio.profile(point), sentence)))
        report(trial + 1, total)
    done = trials
    for point in search.best(FINALISTS):
        profile = studio.profile(point)
        takes = []
        for index in range(count):
            takes.append(studio.speak(profile, index))
            done += 1
            report(min(done, total), total)
        found.append(studio.finish(profile, takes, start.trials + trials))
    return replace(max(found, key=lambda profile: profile.score))
