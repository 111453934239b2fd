"""How long what belongs to a hold is kept."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """In milliseconds (see `Settings`)."""

    retention_ms: int
    collect_within_ms: int

    def ttl_ms(self, open_ms: int) -> int:
        """How long Redis keeps a hold that may be pending for another ``open_ms``."""
        return open_ms + self.collect_within_ms + self.retention_ms
