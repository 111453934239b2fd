"""What the gateway knows of a provider's protocol: body → `Query`, refusals and stream errors ← ours, answers → text.

One object per protocol, without state. `protocol_of` finds the one of a connection.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol as Interface

from gateway.protocols.openai import OpenAI
from gateway.protocols.shape import Endpoint, Summary
from holdpoint.errors import Refusal
from holdpoint.model import Connection, Query, RefusalCode

__all__ = ["DEFAULT", "Endpoint", "Protocol", "Summary", "protocol_of"]


class Protocol(Interface):
    """One provider's protocol."""

    def endpoint(self, method: str, path: str) -> Endpoint:
        """The endpoint at ``path`` behind the connection (``/v1/…``). Raises `Refusal` for what is not known."""

    def parse(self, connection: str, endpoint: Endpoint, raw: bytes) -> Query:
        """A client's body → what was understood of it. Raises `Refusal` for what cannot be read without doubt."""

    def credential_headers(self, credential: str) -> tuple[tuple[str, str], ...]:
        """How the connection's own credential travels."""

    def refusal_body(self, refusal: Refusal) -> bytes:
        """A refusal as an HTTP body."""

    def stream_error(self, endpoint: Endpoint | None, refusal: Refusal) -> bytes:
        """A refusal as an event of a stream that has begun."""

    def translate_error(self, endpoint: Endpoint, status: int, raw: bytes) -> bytes:
        """A model's own error answer as an event of a stream that has begun."""

    def is_last_piece(self, piece: bytes) -> bool:
        """Whether clients take this piece of a stream for its end."""

    def summarise(self, content_type: str, raw: bytes) -> Summary:
        """Text and token counts of an answer; never raises, whatever the model sent."""


DEFAULT: Protocol = OpenAI()
_KNOWN: Mapping[str, Protocol] = {"openai": DEFAULT}


def protocol_of(connection: Connection) -> Protocol:
    """The protocol that the policy names for ``connection``. Raises `Refusal` when this gateway does not speak it."""
    found = _KNOWN.get(connection.protocol)
    if found is None:
        raise Refusal(RefusalCode.UNAVAILABLE, "This gateway does not speak the connection's protocol.", status=501)
    return found
