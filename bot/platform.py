"""What a chat platform can do with cards: the door that Slack (and every other one) is behind. Knows no platform itself.

Errors say what becomes of a copy. A `ChannelUnavailable` waits and tries again; with ``retry_after_seconds`` it promises
that the call had no effect. A `ChannelRefused` is remembered until the hold changes, or until the reconciler looks.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from holdpoint.errors import ChannelRefused, ChannelUnavailable
from holdpoint.model import Hold, Mention
from holdpoint.store.bundles import Bundle, Covered


class NobodyThere(ChannelRefused):
    """The person has no account on this platform: nothing is wrong, there is just no card."""


class MessageGone(ChannelRefused):
    """Somebody deleted the message: it is posted again while the hold can be decided, else forgotten."""


class AccessLost(ChannelUnavailable):
    """The platform does not know us any more (a revoked token, an uninstalled app): everything waits for an admin."""


@dataclass(frozen=True, slots=True)
class Rendering:
    """One card as the platform takes it. ``shown`` is the same as plain text, for the record.

    ``offers`` is what its buttons decide where one card stands for several holds, by the value that they carry. ``rows``
    is then what is shown of each hold. ``news`` is for a platform that cannot change what it has sent: what of this is
    worth sending another one.
    """

    payload: Mapping[str, Any]
    shown: str
    value: str = ""
    offers: tuple[Covered, ...] = ()
    rows: Mapping[str, str] = field(default_factory=dict)
    news: str = ""

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the payload, or of what is news in it: equal renderings need no update."""
        what = self.news or json.dumps(self.payload, sort_keys=True)
        return hashlib.sha256(what.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class Posted:
    """Where a message stands: the platform's ids of channel and message."""

    channel: str
    message: str


@dataclass(frozen=True, slots=True)
class Found:
    """A message of ours that stands in a channel. ``intent`` is what it was posted with, empty for a reply."""

    posted: Posted
    intent: str


@dataclass(frozen=True, slots=True)
class Call:
    """A mention that is due: whom to call, and why. ``key`` names it within its hold; ``groups`` are the policy's names."""

    key: str
    reason: Mention
    groups: tuple[str, ...]
    hold: Hold


@dataclass(frozen=True, slots=True)
class Reply:
    """What is said in the thread of a card: lines of plain text (masked, nothing hidden), and who is called.

    ``loud``: it is shown in the channel itself, too.
    """

    lines: tuple[str, ...]
    calls: tuple[Call, ...] = ()
    loud: bool = False


class Channel(Protocol):
    """One platform that shows cards. Methods raise `ChannelRefused` or `ChannelUnavailable` (see the module)."""

    kind: str
    most_listed: int  # holds that one card can stand for

    def render(self, hold: Hold, target: str) -> Rendering:
        """``hold`` as ``target`` shows it. Depends on nothing but the hold and the configuration, not on the time."""
        ...

    def render_bundle(self, bundle: Bundle, holds: Sequence[Hold]) -> Rendering:
        """All ``holds`` (at least one) on one card."""
        ...

    async def post(self, target: str, rendering: Rendering, *, intent: str) -> Posted:
        """A new message that carries ``intent``."""
        ...

    async def find(self, target: str, *, intent: str, since_ms: int) -> Posted | None:
        """The message that carries ``intent``, posted at ``since_ms`` or later."""
        ...

    async def update(self, place: Posted, rendering: Rendering, *, urgent: bool) -> None:
        """Replace the message's whole content. Where the platform limits updates, the ``urgent`` ones go first."""
        ...

    async def reply(self, place: Posted, reply: Reply) -> None:
        """Say something in the message's thread. Where the platform limits posts, cards go first."""
        ...

    async def list(self, target: str, *, since_ms: int) -> Sequence[Found] | None:
        """The cards of ours that stand at ``target``; None where the platform does not say."""
        ...

    async def remove(self, place: Posted) -> None:
        """Take a message away that should not be there."""
        ...
