"""Who may use which GPU: one task and one loaded engine at a time on each. Runs in the service process.

A lane is a GPU with the workers that may live on it, one for each engine; where several GPUs share one video, it is
a group of equal GPUs, and engines that cannot share see the first. Who leases a lane has its GPUs alone: the
worker of another engine there is ended first, and its memory is waited for by measurement. Without a GPU there is one
lane, so that two engines do not share what may be one card that nobody could look at.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from backend.engines.gpu_pool import GpuFacts, GpuPool
from backend.engines.worker_port import EngineWorker
from backend.models.errors import JobCancelled
from backend.utils.clock import Clock
from backend.utils.logger import worker_logger

# How soon a cancel is noticed while a task waits for a GPU.
POLL_S = 0.1
# The driver gives memory back within a second of a process's end; after this long another program has it.
VRAM_WITHIN_S = 15.0
VRAM_POLL_S = 0.25
# What may be missing of the memory that was free before: a desktop's windows come and go.
VRAM_SLACK_MIB = 512
# A worker in one of these states has no process.
WITHOUT_PROCESS = frozenset({"stopped", "unavailable"})


@dataclass
class Lane:
    """One GPU, or the one lane of a machine without. `ran`: engine and model of the last task. `partners`: more GPUs
    like it that work on the same task."""

    gpu: GpuFacts | None
    partners: tuple[GpuFacts, ...] = ()
    workers: dict[str, EngineWorker] = field(default_factory=dict)
    is_taken: bool = False
    ran: tuple[str, str | None] = ("", None)
    # Measured while no engine of ours was loaded: what has to be free again before another one begins.
    free_before_mib: int | None = None

    @property
    def total_mib(self) -> int | None:
        return self.gpu.total_mib if self.gpu is not None else None

    @property
    def label(self) -> str:
        """For the log."""
        return f"GPU {self.gpu.index}" if self.gpu is not None else "the GPU"

    def living(self) -> str | None:
        """The engine whose worker has a process here."""
        return next((name for name in self.workers if self.is_alive(name)), None)

    def is_alive(self, engine: str) -> bool:
        return self.workers[engine].snapshot().state not in WITHOUT_PROCESS

    def is_resting(self, engine: str) -> bool:
        """Whether the engine failed here several times in a row."""
        return self.workers[engine].snapshot().unavailable_until_ms is not None


@dataclass(frozen=True)
class Wanted:
    """What a task asks for. `gpus`: indices that the engine can use, None for all; `min_vram_mib` is a wish."""

    engine: str
    model: str | None = None
    min_vram_mib: int = 0
    gpus: frozenset[int] | None = None


@dataclass
class _Ticket:
    wanted: Wanted
    granted: asyncio.Future[Lane]


class GpuLanes:
    """All lanes. Tasks are served in the order in which they came, each with the best lane that is free."""

    def __init__(self, pool: GpuPool, gpus: Sequence[GpuFacts], clock: Clock, *, per_lane: int = 1) -> None:
        """`per_lane`: how many equal GPUs make a lane, where there are as many."""
        self._pool = pool
        self._clock = clock
        self._lanes = _grouped(gpus, per_lane) or (Lane(None),)
        self._waiting: list[_Ticket] = []

    @property
    def lanes(self) -> tuple[Lane, ...]:
        return self._lanes

    def add(self, engine: str, make: Callable[[GpuFacts | None], EngineWorker]) -> None:
        """Let an engine work on every lane; `make` gives the worker of a GPU, not started."""
        for lane in self._lanes:
            lane.workers[engine] = make(lane.gpu)

    def partners(self, gpu: GpuFacts) -> tuple[GpuFacts, ...]:
        """The GPUs that share a task with this one, the first of its lane."""
        return next((lane.partners for lane in self._lanes if lane.gpu == gpu), ())

    async def look(self) -> dict[str, GpuFacts]:
        """The GPUs as they are now, by their uuid."""
        return {gpu.uuid: gpu for gpu in await self._pool.gpus()}

    @asynccontextmanager
    async def lease(
        self, wanted: Wanted, *, cancelled: Callable[[], bool], on_wait: Callable[[], None]
    ) -> AsyncIterator[Lane]:
        """A GPU of one's own until the block ends. Raises JobCancelled once `cancelled()` is true.

        `on_wait` is called once when none is free at first.
        """
        lane = await self._take(wanted, cancelled, on_wait)
        try:
            await self._make_room(lane, wanted.engine)
            lane.ran = (wanted.engine, wanted.model)
            yield lane
        finally:
            self._release(lane)

    @asynccontextmanager
    async def lease_if_idle(self, wanted: Wanted) -> AsyncIterator[Lane | None]:
        """A GPU that nobody uses and on which no other engine is loaded, or None. Never waits, ends nobody's worker."""
        lane = self._best(wanted) if not self._waiting else None
        if lane is None or lane.living() not in (None, wanted.engine):
            yield None
            return
        lane.is_taken = True
        try:
            if not lane.is_alive(wanted.engine):
                lane.free_before_mib = await self._free_mib(lane)
            yield lane
        finally:
            self._release(lane)

    # -- who gets which ----------------------------------------------------------------------------
    async def _take(self, wanted: Wanted, cancelled: Callable[[], bool], on_wait: Callable[[], None]) -> Lane:
        ticket = _Ticket(wanted, asyncio.get_running_loop().create_future())
        self._waiting.append(ticket)
        try:
            self._serve()
            if not ticket.granted.done():
                on_wait()
            while not ticket.granted.done():
                await asyncio.wait({ticket.granted}, timeout=POLL_S)
                if cancelled():
                    raise JobCancelled
        except BaseException:
            # It may have been granted in this very moment: then it is given back.
            if ticket.granted.done():
                self._release(ticket.granted.result())
            else:
                self._waiting.remove(ticket)
            raise
        return ticket.granted.result()

    def _serve(self) -> None:
        for ticket in list(self._waiting):
            lane = self._best(ticket.wanted)
            if lane is not None:
                lane.is_taken = True
                self._waiting.remove(ticket)
                ticket.granted.set_result(lane)

    def _release(self, lane: Lane) -> None:
        lane.is_taken = False
        self._serve()

    def _best(self, wanted: Wanted) -> Lane | None:
        free = [lane for lane in self._able(wanted) if not lane.is_taken]
        return max(free, key=lambda lane: _merit(lane, wanted), default=None)

    def _able(self, wanted: Wanted) -> list[Lane]:
        """Where the engine works at all; those with enough memory, if there are such."""
        named = [
            lane
            for lane in self._lanes
            if lane.gpu is None or wanted.gpus is None or lane.gpu.index in wanted.gpus
        ] or list(self._lanes)
        large = [lane for lane in named if lane.total_mib is None or lane.total_mib >= wanted.min_vram_mib]
        return large or named

    # -- memory ------------------------------------------------------------------------------------
    async def _make_room(self, lane: Lane, engine: str) -> None:
        """End what another engine has loaded on this GPU, and wait until its memory is free again."""
        others = [name for name in lane.workers if name != engine]
        ended = [name for name in others if lane.is_alive(name)]
        for name in others:
            # Also one without a process: it may be about to start again after a failure.
            if name in ended:
                worker_logger.info("%s makes room for %s on %s", name, engine, lane.label)
            await lane.workers[name].stop()
            await lane.workers[name].start()
        if lane.is_alive(engine):
            return
        free = await self._free_mib(lane)
        if ended and free is not None and lane.free_before_mib is not None:
            free = await self._until_free(lane, free, lane.free_before_mib - VRAM_SLACK_MIB)
        lane.free_before_mib = free

    async def _until_free(self, lane: Lane, free: int, target: int) -> int:
        deadline = self._clock.monotonic_s() + VRAM_WITHIN_S
        while free < target:
            if self._clock.monotonic_s() >= deadline:
                worker_logger.warning(
                    "%s has %d MiB free and %d were expected: another program may use it",
                    lane.label,
                    free,
                    target,
                )
                break
            await asyncio.sleep(VRAM_POLL_S)
            free = await self._free_mib(lane) or free
        return free

    async def _free_mib(self, lane: Lane) -> int | None:
        """Of a group, what the fullest of its GPUs has."""
        if lane.gpu is None:
            return None
        found = await self.look()
        now = [found.get(gpu.uuid) for gpu in (lane.gpu, *lane.partners)]
        return min(
            (gpu.free_mib for gpu in now if gpu is not None and gpu.free_mib is not None), default=None
        )


def _grouped(gpus: Sequence[GpuFacts], per_lane: int) -> tuple[Lane, ...]:
    """Lanes of `per_lane` GPUs of the same name and memory, in the order of their first ones; what is left over of a
    kind makes a smaller lane."""
    kinds: dict[tuple[str, int | None], list[GpuFacts]] = {}
    for gpu in gpus:
        kinds.setdefault((gpu.name, gpu.total_mib), []).append(gpu)
    groups = [same[at : at + per_lane] for same in kinds.values() for at in range(0, len(same), per_lane)]
    return tuple(
        Lane(group[0], tuple(group[1:])) for group in sorted(groups, key=lambda group: gpus.index(group[0]))
    )


def _merit(lane: Lane, wanted: Wanted) -> tuple[bool, bool, bool, bool, int]:
    """More is better: the engine does not rest, its model is loaded, it is loaded, nobody else is, a larger card."""
    return (
        not lane.is_resting(wanted.engine),
        lane.is_alive(wanted.engine) and lane.ran == (wanted.engine, wanted.model),
        lane.is_alive(wanted.engine),
        lane.living() is None,
        lane.total_mib or 0,
    )
