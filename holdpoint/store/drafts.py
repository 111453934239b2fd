"""A request that is about to be held."""

from __future__ import annotations

from dataclasses import dataclass

from holdpoint.model import Evaluation, Query, Requester


@dataclass(frozen=True, slots=True)
class Draft:
    """What the gateway knows of it. ``digest`` is that of ``query.body``."""

    method: str
    target: str
    environment: str
    query: Query
    requester: Requester
    address: str
    evaluation: Evaluation
    digest: str
    asynchronous: bool = False
    justification: str = ""
