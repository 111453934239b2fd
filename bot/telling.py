"""How the requester is told of a hold: in a chat, or, where no chat reaches them, by the platform that stands in. Platform-free.

::

    chat refuses their message ─▶ noted on the hold ─▶ all chats have ─▶ e-mail ─▶ noted
    chat takes it: the usual case, nothing is noted and nobody asked
"""

from __future__ import annotations

from contextlib import suppress

from bot.copies import Showing
from holdpoint.errors import NotFound
from holdpoint.model import Hold
from holdpoint.store import Store


class Telling:
    """For the platform ``kind``.

    ``instead_of`` are the chats that it stands in for: it sends the requester's message only where all of them have
    noted that they could not. None: it is a chat itself, the usual place.
    """

    def __init__(self, store: Store, kind: str, *, instead_of: frozenset[str] | None) -> None:
        self._store = store
        self._kind = kind
        self._instead_of = instead_of

    def is_due(self, hold: Hold) -> bool:
        """Whether the requester's message is this platform's to send."""
        return self._instead_of is None or self._instead_of <= {kind for kind, reached in hold.told if not reached}

    async def note(self, hold: Hold, target: str, shown: Showing) -> None:
        """Note what became of the requester's message at ``target``, where that is not what everybody expects.

        Raises:
            StoreUnavailable: Redis is lost; the next drawing notes it.
        """
        noted = dict(hold.told).get(self._kind)
        if shown is Showing.NOTHING and (noted if noted is not None else self._instead_of is None):
            return  # the usual case; else a note may have been lost in a crash
        place = await self._store.cards.get(hold.id, target)
        reached = place is not None and bool(place.message) and not place.refused
        if noted is reached or (reached and noted is None and self._instead_of is None):
            return
        if reached or shown is Showing.REFUSED:
            with suppress(NotFound):  # its retention is over
                await self._store.talk.told(hold.id, channel=self._kind, reached=reached)
