"""Sign-ins that were begun: somebody was sent to their identity provider with a *state*, and has ten minutes to come back.

A state works once, and only in the browser that it was given to: the cookie that names the browser is stored beside it,
as SHA-256, like the state itself.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass

from pydantic import TypeAdapter

from holdpoint.store import keys
from holdpoint.store.as_json import to_json
from holdpoint.store.client import Client, Script

LASTS_MS = 10 * 60_000
_TICKET_MS = 60_000
_WINDOW_MS = 60_000
_MOST_PER_WINDOW = 300  # of one address, which may be that of a whole office

_BEGIN = Script("begin_sign_in")


@dataclass(frozen=True, slots=True)
class Begun:
    """``way`` names where the person was sent, ``target`` is our own path to go to afterwards. ``nonce`` and ``verifier``
    (PKCE) are OpenID Connect's.

    ``fresh_ms``: the person has to have shown the provider who they are at most so long before they come back;
    ``acr``: in this way. ``browser`` is the SHA-256 of the cookie.
    """

    way: str
    target: str
    browser: str
    at_ms: int
    nonce: str = ""
    verifier: str = ""
    fresh_ms: int | None = None
    acr: str = ""


_BEGUN = TypeAdapter(Begun)


class SigningIn:
    """Every method raises `StoreUnavailable` when Redis cannot do it."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def begin(self, begun: Begun, *, address: str) -> str | None:
        """The state for ``begun``; None when too many were begun from ``address`` within a minute."""
        state = secrets.token_urlsafe(32)
        word = await self._client.script(
            _BEGIN,
            [keys.signing_in(digest(state)), keys.signing_in_from(address)],
            [to_json(begun), LASTS_MS, _MOST_PER_WINDOW, _WINDOW_MS],
        )
        return state if word == b"ok" else None

    async def take(self, state: str, *, browser: str) -> Begun | None:
        """What was begun with ``state``, once. None: never, too long ago, taken before, or in another browser."""
        raw = await self._client.command("GETDEL", keys.signing_in(digest(state)))
        begun = _BEGUN.validate_json(raw) if raw else None
        if begun is None or not hmac.compare_digest(begun.browser, digest(browser)):
            return None
        return begun

    async def begun(self, state: str) -> Begun | None:
        """What was begun with ``state``, and may yet be taken."""
        raw = await self._client.command("GET", keys.signing_in(digest(state)))
        return _BEGUN.validate_json(raw) if raw else None

    async def arrive(self, value: bytes) -> str:
        """Keep what came without our cookie, for the browser that has it: the ticket, good once and for a minute."""
        ticket = secrets.token_urlsafe(32)
        await self._client.command("SET", keys.arrived(digest(ticket)), value, "PX", _TICKET_MS)
        return ticket

    async def arrived(self, ticket: str) -> bytes | None:
        """What was kept for ``ticket``, once."""
        raw: bytes | None = await self._client.command("GETDEL", keys.arrived(digest(ticket)))
        return raw


def digest(secret: str) -> str:
    """The SHA-256 of a state or of a browser's cookie."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
