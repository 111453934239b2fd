"""What the policy makes of a request, and what people are asked about it."""

from __future__ import annotations

from dataclasses import replace

from gateway.exchange import Exchange
from gateway.inspect import unmodifiable
from gateway.journal import digest_of
from gateway.justification import justification_of
from gateway.prefer import Preferences
from holdpoint import canonical
from holdpoint.model import Evaluation, Part, Query
from holdpoint.store import Draft


def draft_of(exchange: Exchange, query: Query, evaluation: Evaluation, wishes: Preferences) -> Draft:
    """The hold that this request would be."""
    return Draft(
        method=exchange.endpoint.method,
        target=exchange.endpoint.target,
        environment=exchange.connection.environment,
        query=query,
        requester=exchange.requester,
        address=exchange.request.peer,
        evaluation=evaluation,
        digest=digest_of(exchange, query.body),
        asynchronous=wishes.asynchronous,
        justification=justification_of(exchange.request),
    )


def modified(query: Query, evaluation: Evaluation) -> Query:
    """The query with the policy's own texts in place. Raises `Refusal` where they cannot be."""
    edits = evaluation.edits
    try:
        body = canonical.apply_edits(query.body, edits)
    except KeyError:
        raise unmodifiable() from None
    parts = tuple(Part(part.path, part.role, edits.get(part.path, part.text)) for part in query.parts)
    return replace(query, body=body, parts=parts)
