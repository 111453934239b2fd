"""What the events of people proving who they are say: sessions, linked chat accounts, passkeys. Never with a secret."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from holdpoint.linked import Link
from holdpoint.store.as_json import to_json

if TYPE_CHECKING:
    from holdpoint.store.sessions import Session  # sessions.py writes these events


def session_opened(session: Session) -> bytes:
    """Who signed in to the web inbox, how, and until when. Never with what its cookie, key or tokens are."""
    return to_json(_session(session) | {"ends_ms": session.ends_ms, "address": session.address})


def session_ended(session: Session, *, by: str, reason: str) -> bytes:
    """``by`` is who ended it, or "policy" where the right was lost. One that only ran out has no such event."""
    return to_json(_session(session) | {"by": by, "reason": reason})


def _session(session: Session) -> dict[str, Any]:
    person = session.person
    return {
        "session": session.id,
        "principal": session.principal,
        "method": person.method if person else "key",
        "issuer": person.issuer if person else "",
        "auth_ms": person.auth_ms if person else None,
    }


def link_changed(link: Link, *, by: str) -> bytes:
    """The link as it is after the change, or was before it was removed, and who changed it."""
    return to_json({"link": link, "by": by})


def passkey_invited(*, principal: str, by: str) -> bytes:
    """Never with the invitation's secret."""
    return to_json({"principal": principal, "by": by})


def passkey_changed(*, principal: str, credential: str, name: str, invited_by: str = "") -> bytes:
    """A passkey was added (``invited_by`` whom, or by a fresh sign-in), removed, or refused."""
    data = {"principal": principal, "credential": credential, "name": name}
    return to_json(data | {"invited_by": invited_by} if invited_by else data)
