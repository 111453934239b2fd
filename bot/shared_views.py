"""What a card for several holds shows, as values: identical requests on one, or many on a digest. Pure. See `bot.views`.

`bot.bundle_views` builds them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from bot.views import CardView
from holdpoint.model import Risk, State

DIGEST_LINES = 30  # holds on one digest card; what is beyond needs another card


@dataclass(frozen=True, slots=True)
class BundleView:
    """One card for identical requests that came beside each other (same requester, connection and digest).

    ``card`` shows one of them: one that waits, while there is any. ``ids`` are those that wait, in the order in which
    they came: what the buttons of this drawing decide. ``ended`` counts the others by what became of them.
    """

    id: str
    card: CardView
    ids: tuple[str, ...]
    ended: tuple[tuple[State, int], ...] = ()

    @property
    def count(self) -> int:
        return len(self.ids) + sum(count for _, count in self.ended)

    @property
    def value(self) -> str:
        """What a button of the card carries: ``<bundle> <hash of the holds that wait, each with the digest shown>``."""
        return f"{self.id} {list_digest((hold, self.card.digest) for hold in self.ids)}"

    @property
    def line(self) -> str:
        """``12 identical requests: 9 wait, 2 cancelled, 1 expired. A decision covers exactly those that wait.``"""
        waiting = [f"{len(self.ids):,} wait{'s' if len(self.ids) == 1 else ''}"] if self.ids else []
        counts = [*waiting, *(f"{count:,} {state.value}" for state, count in self.ended)]
        covers = ". A decision covers exactly those that wait." if self.ids else ""
        return f"{self.count:,} identical requests: {', '.join(counts)}{covers}"


@dataclass(frozen=True, slots=True)
class DigestLine:
    """One hold on a digest card. ``preview``: its first words. ``sentence`` is empty while it waits; ``unread``: it must be read in full first.

    ``senders`` as in `CardView`.
    """

    id: str
    digest: str
    requester: str
    what: str
    preview: str
    risk: Risk
    deadline_ms: int
    sentence: str = ""
    unread: bool = False
    senders: frozenset[str] = frozenset()

    @property
    def pending(self) -> bool:
        return not self.sentence

    @property
    def plain(self) -> str:
        """What the line shows, for the record."""
        return f"{self.risk.value} risk  {self.requester}  {self.what}  “{self.preview}”  {self.sentence or 'waits'}"


@dataclass(frozen=True, slots=True)
class DigestView:
    """One card for many holds of a channel that is near its rate limit: at most `DIGEST_LINES` lines.

    ``more`` counts the holds that wait beyond this card.
    """

    id: str
    lines: tuple[DigestLine, ...]
    url: str
    more: int = 0

    @property
    def waiting(self) -> tuple[DigestLine, ...]:
        return tuple(line for line in self.lines if line.pending)

    @property
    def value(self) -> str:
        """What a button of the card carries: ``<card> <SHA-256 of the holds and digests that wait on it>``."""
        return f"{self.id} {list_digest((line.id, line.digest) for line in self.waiting)}"


def list_digest(holds: Iterable[tuple[str, str]]) -> str:
    """SHA-256 (hex) of pairs of hold and digest, in their order: which list somebody saw."""
    return hashlib.sha256("\n".join(f"{hold} {digest}" for hold, digest in holds).encode()).hexdigest()


def digest_line(view: CardView) -> DigestLine:
    """A hold's line on a digest card."""
    return DigestLine(
        id=view.id,
        digest=view.digest,
        requester=view.requester,
        what=f"{view.title} → {view.model or view.connection}",
        preview=view.preview,
        risk=view.risk,
        deadline_ms=view.deadline_ms,
        sentence="" if view.pending else view.state_sentence,
        unread=view.needs_full_view,
        senders=view.senders,
    )
