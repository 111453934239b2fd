"""Which targets are near their platform's limit: there, holds go onto one digest card instead of a card each.

A target is pressed once several posts wait for the platform to take them. It stays so while new holds come faster than
single cards could be posted, so that a flood makes one card and not a mixture. Known to one process, the one that
posts: a successor finds out for itself, from the platform's own refusals. No I/O.
"""

from __future__ import annotations

from collections import defaultdict, deque

from holdpoint.clock import Clock

MOST_WAITING = 5  # posts that may wait at one target before it is pressed
FAST_ARRIVALS = 6  # holds that come within `FAST_MS` are more than single cards should be posted for
FAST_MS = 10_000


class Pressure:
    """Told what happens at each target; asked whether it is pressed."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: defaultdict[str, set[str]] = defaultdict(set)
        self._arrivals: defaultdict[str, deque[int]] = defaultdict(lambda: deque(maxlen=FAST_ARRIVALS))
        self._pressed: set[str] = set()

    def begin(self) -> None:
        """Forget what waited: from now on it is this process that posts, and another one may have served that."""
        self._waiting.clear()
        self._pressed.clear()

    def arrived(self, target: str) -> None:
        """A hold wants to be seen at ``target``."""
        self._arrivals[target].append(self._clock())

    def waits(self, target: str, hold_id: str) -> None:
        """The platform takes no card for it at the moment."""
        self._waiting[target].add(hold_id)
        if len(self._waiting[target]) >= MOST_WAITING:
            self._pressed.add(target)

    def served(self, target: str, hold_id: str) -> None:
        """It has its card, alone or with others, or needs none any more."""
        waiting = self._waiting.get(target)
        if waiting is not None:
            waiting.discard(hold_id)
            if not waiting:
                del self._waiting[target]

    def is_on(self, target: str) -> bool:
        """Whether holds share a card at ``target`` now."""
        if target not in self._pressed:
            return False
        arrivals = self._arrivals[target]
        are_fast = len(arrivals) == FAST_ARRIVALS and self._clock() - arrivals[0] < FAST_MS
        if not are_fast and target not in self._waiting:
            self._pressed.discard(target)
        return target in self._pressed

    def pressed(self) -> int:
        """How many targets share the platform's means now, at least one."""
        return max(len(self._pressed), 1)

    def is_busy(self, target: str) -> bool:
        """Whether anything waits to be posted at ``target``, so that what is only nice to have should not be."""
        return target in self._waiting
