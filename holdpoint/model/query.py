"""One request, as the gateway understood it. See `holdpoint.model`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from holdpoint.model.words import PartRole


@dataclass(slots=True, unsafe_hash=True)
class Part:
    """One string of the query that a model may see. ``editable`` parts may be changed by a reviewer."""

    path: Final[str]
    role: Final[PartRole]
    text: Final[str]

    @property
    def editable(self) -> bool:
        return self.role not in (PartRole.DEFINITION, PartRole.PARAMETER)


@dataclass(slots=True, unsafe_hash=True)
class Query:
    """What the gateway understood of one request.

    ``endpoint`` is the path behind the connection without the version prefix (``chat/completions``). ``parts`` are in
    the order of the body. ``uninspectable`` lists what the gateway could not read, one phrase each ("an image in
    messages/0"); empty when everything was read. ``body`` is the canonical serialisation, the only bytes that are ever
    forwarded. ``prompt_tokens`` is an estimate (UTF-8 bytes of the prompt, or ids, see protocols).
    """

    connection: Final[str]
    endpoint: Final[str]
    model: Final[str]
    parts: Final[tuple[Part, ...]]
    tools: Final[tuple[str, ...]]
    stream: Final[bool]
    prompt_tokens: Final[int]
    max_tokens: Final[int | None]
    uninspectable: Final[tuple[str, ...]]
    body: Final[bytes]
