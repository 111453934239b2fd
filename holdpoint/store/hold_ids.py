"""Ids of holds: sortable by time, also among those of one millisecond that one process makes, and not to be guessed.

h ─ 48 bits: Unix ms ─ 12 bits: which one of this millisecond ─ 60 bits: random        lower-case base32hex, 25 characters
"""

from __future__ import annotations

import base64
import secrets

_LAST_OF_A_MS = (
    0xFFF  # from there on the rest of this millisecond's have no order; a hold costs Redis more than 1/4096 ms
)


class HoldIds:
    """Makes the ids of one process."""

    def __init__(self) -> None:
        self._ms = -1
        self._place = 0

    def new(self, now_ms: int) -> str:
        """An id that comes after all those made for an earlier millisecond, and after those made here for this one.

        RFC 9562, 6.2, method 1: the counter is short and the random part stays random, so that no id tells the next.
        """
        self._place = min(self._place + 1, _LAST_OF_A_MS) if now_ms == self._ms else 0
        self._ms = now_ms
        number = now_ms << 72 | self._place << 60 | secrets.randbits(60)
        # base32hex keeps the order of the bytes, which plain base32 does not.
        return "h" + base64.b32hexencode(number.to_bytes(15, "big")).decode().lower()
