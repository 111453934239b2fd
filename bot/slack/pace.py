"""Slack's rate limits, kept from here: who may call now, and who should come back when. No I/O.

A 429 closes its *gate* until the time that Slack named: the method, and for posts the channel alone. Gates know nothing
of each other, so limited updates hold up no post, and the other way round. After a 429 on a channel, posts keep to one a
second for a minute. Of the updates that Slack takes in a minute, those that can wait leave some over for the rest.
"""

from __future__ import annotations

from collections import deque

from holdpoint.clock import Clock
from holdpoint.errors import ChannelUnavailable

POST = "chat.postMessage"
UPDATE = "chat.update"
PACE_MS = 1000
PACED_FOR_MS = 60_000
MINUTE_MS = 60_000
UPDATES = 50  # a minute: Slack's tier 3, "50+"
SPARED = 20  # of these are for what somebody waits for


class Pace:
    """`check` before a call, then `taken` or `limited`. ``can_wait``: what is only nice to have."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._closed_until: dict[str, int] = {}
        self._limited_at: dict[str, int] = {}
        self._posted_at: dict[str, int] = {}
        self._updates: deque[int] = deque()

    def check(self, method: str, channel: str, *, can_wait: bool) -> None:
        """Return when the call may be tried.

        Raises:
            ChannelUnavailable: not now; with the seconds to wait. Slack was not asked.
        """
        gate, now = _gate(method, channel), self._clock()
        self._forget_ahead(gate, now)
        wait_ms = self._closed_until.get(gate, 0) - now
        if can_wait and method == POST:
            wait_ms = max(wait_ms, self._posted_at.get(gate, 0) + PACE_MS - now)
        if method == UPDATE:
            wait_ms = max(wait_ms, self._update_in(now, can_wait=can_wait))
        if wait_ms > 0:
            raise ChannelUnavailable(f"Slack's {gate} is rate-limited", retry_after_seconds=wait_ms / 1000)
        if method == UPDATE:
            self._updates.append(now)
        elif method == POST and can_wait:
            # Taken now, so that several that ask at once do not all get it.
            self._posted_at[gate] = now

    def limited(self, method: str, channel: str, seconds: float) -> ChannelUnavailable:
        """Slack answered 429: what to raise."""
        gate, now = _gate(method, channel), self._clock()
        self._closed_until[gate] = now + int(seconds * 1000)
        self._limited_at[gate] = now
        return ChannelUnavailable(f"Slack's {gate} is rate-limited", retry_after_seconds=seconds)

    def taken(self, method: str, channel: str) -> None:
        """Slack has carried out the call. Where it has complained lately, the next post waits for its turn."""
        if method != POST:
            return
        gate, now = _gate(method, channel), self._clock()
        self._posted_at[gate] = now
        limited = self._limited_at.get(gate)
        if limited is None:
            return
        if now - limited > PACED_FOR_MS:
            del self._limited_at[gate]
            self._closed_until.pop(gate, None)
        else:
            self._closed_until[gate] = now + PACE_MS

    def is_paced(self, channel: str) -> bool:
        """Whether Slack has complained about posts to this channel within the last minute."""
        limited = self._limited_at.get(_gate(POST, channel))
        return limited is not None and self._clock() - limited <= PACED_FOR_MS

    def _forget_ahead(self, gate: str, now: int) -> None:
        """Forget what is still to come: the clock was set back."""
        if self._limited_at.get(gate, now) > now:
            del self._limited_at[gate], self._closed_until[gate]
        if self._posted_at.get(gate, now) > now:
            del self._posted_at[gate]
        while self._updates and self._updates[-1] > now:
            self._updates.pop()

    def _update_in(self, now: int, *, can_wait: bool) -> int:
        """In how many milliseconds an update may be tried. Others hold the pace only while Slack asks for it."""
        while self._updates and self._updates[0] <= now - MINUTE_MS:
            self._updates.popleft()
        most = UPDATES - SPARED if can_wait else UPDATES
        is_asked = self._clock() - self._limited_at.get(UPDATE, -MINUTE_MS) < MINUTE_MS
        if len(self._updates) < most or not (can_wait or is_asked):
            return 0
        return self._updates[len(self._updates) - most] + MINUTE_MS - now


def _gate(method: str, channel: str) -> str:
    return f"{method} {channel}" if method == POST else method
