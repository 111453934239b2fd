"""Where requests go, and where their cards appear. See `holdpoint.model`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Route:
    """Cards for requesters of ``group`` (``*``: everybody else) appear in ``channels`` ("slack:C0123", "web")."""

    group: str
    channels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Connection:
    """A registered upstream model. ``credential`` is a reference (``env:NAME``), never the secret itself."""

    name: str
    upstream: str
    protocol: str
    environment: str
    credential: str | None = None
