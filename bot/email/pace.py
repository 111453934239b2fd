"""How much mail one address gets, so that nobody's mailbox is flooded: then holds wait and share a mail. No I/O.

Updates leave some of it over: a request that is held now goes before news of one that was.
"""

from __future__ import annotations

from collections import deque

from holdpoint.clock import Clock
from holdpoint.errors import ChannelUnavailable

GAP_MS = 5_000
WINDOW_MS = 10 * 60_000
MOST = 30  # mails to one address in a window
SPARED = 10  # of these are for new holds
_MOST_ADDRESSES = 10_000


class Pace:
    """`take` before a mail, `give_back` when it certainly was not sent."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sent_at: dict[str, deque[int]] = {}

    def take(self, address: str, *, can_wait: bool) -> int:
        """Take the right to send one mail now; returns what `give_back` needs.

        Raises:
            ChannelUnavailable: not now; with the seconds to wait.
        """
        now = self._clock()
        sent = self._sent_at.setdefault(address, deque())
        while sent and sent[-1] > now:
            sent.pop()  # still to come: the clock was set back
        while sent and sent[0] <= now - WINDOW_MS:
            sent.popleft()
        most = MOST - SPARED if can_wait else MOST
        wait_ms = sent[-1] + GAP_MS - now if sent else 0
        if len(sent) >= most:
            wait_ms = max(wait_ms, sent[len(sent) - most] + WINDOW_MS - now)
        if wait_ms > 0:
            raise ChannelUnavailable("this address has had enough mail for now", retry_after_seconds=wait_ms / 1000)
        sent.append(now)
        self._forget(now)
        return now

    def give_back(self, address: str, taken: int) -> None:
        """The mail for which ``taken`` was taken was not sent."""
        sent = self._sent_at.get(address)
        if sent is not None and taken in sent:
            sent.remove(taken)

    def _forget(self, now: int) -> None:
        """Addresses that have had no mail for a window, once there are many."""
        if len(self._sent_at) > _MOST_ADDRESSES:
            recent = {each: sent for each, sent in self._sent_at.items() if sent and sent[-1] > now - WINDOW_MS}
            self._sent_at = recent
