"""What the events of cards say: which text one showed, who has read it, who saw what it masks."""

from __future__ import annotations

from holdpoint.model import EventKind
from holdpoint.store.as_json import to_json
from holdpoint.store.events import Entry


def card_shown(*, hold: str, rev: int, target: str, digest: str, view: str, at_ms: int) -> Entry:
    """``view`` is what the card showed, as plain text, masks applied; ``digest`` the text that it stood for."""
    data = {"hold": hold, "rev": rev, "target": target, "digest": digest, "view": view}
    return Entry("events", EventKind.CARD_SHOWN, hold, at_ms, to_json(data))


def card_read(hold: str, *, by: str, digest: str, channel: str) -> bytes:
    """``by`` has paged through everything that has ``digest``."""
    return to_json({"hold": hold, "by": by, "digest": digest, "channel": channel})


def card_revealed(hold: str, *, by: str, digest: str, channel: str, at_ms: int) -> Entry:
    """``by`` saw what the policy masks in the text that has ``digest``."""
    data = {"hold": hold, "by": by, "digest": digest, "channel": channel}
    return Entry("events", EventKind.CARD_REVEALED, hold, at_ms, to_json(data))
