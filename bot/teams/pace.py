"""Teams' rate limits, kept from here: who may call now, and who should come back when. No I/O.

https://learn.microsoft.com/microsoftteams/platform/bots/how-to/rate-limit: for each bot and conversation 7 writes in a
second, 8 in two, 60 in half a minute, 1800 in an hour; of reads twice as many; of everything 50 a second in a tenant.
Nothing says that updates are free, so they count as writes. A tenth of each stays unused: Teams' clock is not ours, and
another bot process may call, too. A 429 closes its conversation until the time that Teams named.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from holdpoint.clock import Clock
from holdpoint.errors import ChannelUnavailable

HOUR_MS = 3_600_000
MOST_CLOSED_MS = 600_000
MOST_CONVERSATIONS = 20_000  # that are remembered; the one that was used least lately is forgotten

Limits = tuple[tuple[int, int], ...]  # (milliseconds, most calls in them)


class Family(Enum):
    """What Teams counts apart."""

    WRITE = "messages"
    READ = "questions"


class Rank(Enum):
    """Who goes first where calls are rationed: each rank may use its share of a limit (hundredths)."""

    FIRST = 100  # somebody waits for it: a decision on its card, an answer
    CARD = 84  # new messages
    LAST = 67  # only nice to have


CONVERSATION: Mapping[Family, Limits] = {
    Family.WRITE: ((1_000, 6), (2_000, 7), (30_000, 54), (HOUR_MS, 1_620)),
    Family.READ: ((1_000, 12), (2_000, 14), (30_000, 108), (HOUR_MS, 3_240)),
}
TENANT: Limits = ((1_000, 45),)


@dataclass
class _Gate:
    """The calls of one family in one conversation, or of all in one tenant, oldest first."""

    at_ms: deque[int] = field(default_factory=deque)
    closed_until_ms: int = 0


class Pace:
    """`wait_ms` before a call, `begun` with it; `over` after a write, `limited` after a 429."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._gates: OrderedDict[tuple[str, str], _Gate] = OrderedDict()

    def wait_ms(self, family: Family, conversation: str, tenant: str, rank: Rank) -> int:
        """In how many milliseconds this call may be made; 0 for now."""
        now = self._clock()
        gate = self._gate(family.value, conversation)
        closed_ms = gate.closed_until_ms - now
        if closed_ms > MOST_CLOSED_MS:
            closed_ms = 0  # the clock was set back
        waits = (closed_ms, _wait_ms(gate, CONVERSATION[family], rank, now))
        return max(0, *waits, _wait_ms(self._gate("tenant", tenant), TENANT, Rank.FIRST, now))

    def begun(self, family: Family, conversation: str, tenant: str) -> None:
        """A call is made now."""
        now = self._clock()
        self._gate(family.value, conversation).at_ms.append(now)
        self._gate("tenant", tenant).at_ms.append(now)

    def over(self, conversation: str) -> None:
        """The write that was begun last there has its answer.

        Teams counted it somewhere in between, and writes to one conversation do not overlap: counted from now, no later
        one is too early.
        """
        gate = self._gate(Family.WRITE.value, conversation)
        if gate.at_ms:
            gate.at_ms[-1] = self._clock()

    def limited(self, family: Family, conversation: str, seconds: float) -> ChannelUnavailable:
        """Nothing more is to be tried there for so long: what to raise."""
        gate = self._gate(family.value, conversation)
        wait_ms = min(int(seconds * 1000), MOST_CLOSED_MS)
        gate.closed_until_ms = max(gate.closed_until_ms, self._clock() + wait_ms)
        return unavailable(family, wait_ms)

    def _gate(self, kind: str, name: str) -> _Gate:
        key = (kind, name)
        gate = self._gates.get(key)
        if gate is None:
            gate = self._gates[key] = _Gate()
            while len(self._gates) > MOST_CONVERSATIONS:
                self._gates.popitem(last=False)
        self._gates.move_to_end(key)
        return gate


def unavailable(family: Family, wait_ms: int) -> ChannelUnavailable:
    """Not now; Teams was not asked, or said so itself."""
    text = f"Teams takes no more {family.value} in this conversation for a while"
    return ChannelUnavailable(text, retry_after_seconds=wait_ms / 1000)


def _wait_ms(gate: _Gate, limits: Limits, rank: Rank, now: int) -> int:
    longest_ms = limits[-1][0]
    while gate.at_ms and not now - longest_ms < gate.at_ms[0] <= now:
        gate.at_ms.popleft()  # too long ago, or still to come: the clock was set back
    wait = 0
    for span_ms, most in limits:
        share = max(1, most * rank.value // 100)
        if len(gate.at_ms) >= share:
            wait = max(wait, gate.at_ms[-share] + span_ms - now)
    return wait
