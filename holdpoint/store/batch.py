"""Many entries for the outbox as one transaction, in Redis' own words (RESP 2): all are appended, or none.

::

    entries ─▶ MULTI, XADD, XADD, …, EXEC ─▶ OK, QUEUED, QUEUED, …, what EXEC says ─▶ positions, or the error

Every request costs two of them, so this is as cheap as it gets: a script takes Redis nearly twice as long, and what
comes before an entry's subject is the same for all of its stream and kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from holdpoint.model import EventKind
from holdpoint.store import keys
from holdpoint.store.events import Entry
from holdpoint.store.line import bulk, packed

STREAMS = {"events": keys.EVENTS, "traffic": keys.TRAFFIC}

_MULTI, _EXEC = packed(("MULTI",)), packed(("EXEC",))


def transaction(entries: Sequence[Entry]) -> tuple[bytes, int]:
    """The commands, and how many answers Redis has to them: only the last one says what became of it."""
    texts = [_MULTI]
    for stream, kind, subject, at_ms, data in entries:
        who, at = subject.encode(), b"%d" % at_ms
        texts += (
            _before_subject(stream, kind),
            b"$%d\r\n%b\r\n$2\r\nat\r\n$%d\r\n%b\r\n$4\r\ndata\r\n$%d\r\n" % (len(who), who, len(at), at, len(data)),
            data,
            b"\r\n",
        )
    texts.append(_EXEC)
    return b"".join(texts), len(entries) + 2


@cache
def _before_subject(stream: str, kind: EventKind) -> bytes:
    """``XADD stream * kind … subject``: six of the ten arguments, each pair of name and value counted as two."""
    return b"*11\r\n" + b"".join(map(bulk, ("XADD", STREAMS[stream], "*", "kind", kind, "subject")))
