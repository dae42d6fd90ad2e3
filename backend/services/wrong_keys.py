"""Counts wrong keys, caller by caller. Runs in the service process.

Whoever guesses has to wait; everybody else is let in at once, also while somebody guesses. So nobody can lock the
owner of the key out, unless from the owner's own address. Callers on this machine never wait: a program here that
still shows an old key would lock out all others, and one that means harm reads `.env`.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from ipaddress import ip_address

from backend.utils.clock import Clock

# A person mistypes a few times; a program that guesses does so thousands of times a second.
MAX_WRONG_KEYS_PER_MINUTE = 10
_WINDOW_S = 60.0
# Callers that are remembered; the one that was wrong longest ago is forgotten first. Each holds some 200 bytes.
_MAX_CALLERS = 1000


class WrongKeys:
    """Who was wrong, and when."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tries: OrderedDict[str, deque[float]] = OrderedDict()

    def must_wait(self, caller: str) -> bool:
        """Whether this caller (a network address) has been wrong too often in the last minute."""
        return not _is_here(caller) and len(self._recent(caller)) >= MAX_WRONG_KEYS_PER_MINUTE

    def note(self, caller: str) -> None:
        """One more wrong key."""
        tries = self._recent(caller)
        tries.append(self._clock.monotonic_s())
        self._tries[caller] = tries
        self._tries.move_to_end(caller)
        while len(self._tries) > _MAX_CALLERS:
            self._tries.popitem(last=False)

    def _recent(self, caller: str) -> deque[float]:
        tries = self._tries.get(caller, deque(maxlen=MAX_WRONG_KEYS_PER_MINUTE))
        while tries and self._clock.monotonic_s() - tries[0] > _WINDOW_S:
            tries.popleft()
        return tries


def _is_here(caller: str) -> bool:
    try:
        return ip_address(caller).is_loopback
    except ValueError:
        return False
