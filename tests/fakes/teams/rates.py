"""How often a bot may do a thing in one conversation.

https://learn.microsoft.com/microsoftteams/platform/bots/how-to/rate-limit (per bot per thread)
"""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Mapping

Limits = tuple[tuple[float, int], ...]  # (seconds, most operations)

WRITES: Limits = ((1, 7), (2, 8), (30, 60), (3600, 1800))
READS: Limits = ((1, 14), (2, 16), (30, 120), (3600, 3600))
OLD_READS: Limits = ((60, 5),)  # the roster that is not paged
LIMITS: Mapping[str, Limits] = {"write": WRITES, "create": WRITES, "read": READS, "roster": OLD_READS}


class Rates:
    """Sliding windows by (family, conversation). ``on`` False: no limits."""

    def __init__(self) -> None:
        self.on = True
        self._spent: dict[tuple[str, str], deque[float]] = defaultdict(deque)

    def spend(self, family: str, conversation: str, now_s: float) -> int | None:
        """None: it may; else the whole seconds until it may. A refused call does not count."""
        if not self.on:
            return None
        spent = self._spent[family, conversation]
        limits = LIMITS[family]
        while spent and spent[0] <= now_s - limits[-1][0]:
            spent.popleft()
        for seconds, most in limits:
            if len(spent) >= most and spent[-most] > now_s - seconds:
                return max(1, math.ceil(spent[-most] + seconds - now_s))
        spent.append(now_s)
        return None
