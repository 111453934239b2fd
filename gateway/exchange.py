"""One request on its way: what the steps of the route have found out so far."""

from __future__ import annotations

import itertools
import secrets

from gateway.protocols import DEFAULT, Endpoint, Protocol
from gateway.transport import Prepared, Reply, Request
from holdpoint.model import Connection, Requester, State, Verdict
from holdpoint.policy.issuers import Issuer

NOBODY = Requester("", frozenset())
NOWHERE = Connection("", "", "openai", "")
_NO_ENDPOINT = Endpoint("", "", "", inspected=False)

_prefix = f"r{secrets.token_hex(6)}"
_numbers = itertools.count(1)


def new_request_id() -> str:
    """Unique for ever, and cheap: the process has a random prefix and counts."""
    return f"{_prefix}{next(_numbers):x}"


class Exchange:
    """The request, its reply, and who, where and what it is; filled in along the route.

    A waiting request keeps this and no more: no body and no query.
    """

    requester: Requester = NOBODY
    key: str = ""  # the digest of the caller's key, to see before the release that it is still valid; of a token: none
    issuer: Issuer | None = None  # who issued the caller's token, as the policy trusted it then
    connection: Connection = NOWHERE
    protocol: Protocol = DEFAULT
    endpoint: Endpoint = _NO_ENDPOINT
    stream: bool = False  # the client asked for a stream
    hold: str | None = None
    state: State | None = None
    verdict: Verdict | None = None
    modified: bool = False
    grant: str = ""  # the standing approval by which it passes
    events: bool = False  # the reply has begun as a stream of events, so an error can be told in it
    prepared: dict[bool, Prepared] | None = None  # what the model is sent behind this head, by ``stream``

    def __init__(self, request: Request, reply: Reply, id: str) -> None:  # noqa: A002 - of the request
        self.request = request
        self.reply = reply
        self.id = id

    def forget_head(self) -> None:
        """Give up what is only known to be quick the next time."""
        self.prepared = None
        self.request.forget_head()

    def headers(self) -> list[tuple[str, str]]:
        """What every answer to this request carries."""
        found: list[tuple[str, str]] = []
        if self.hold is not None:
            found.append(("x-holdpoint-hold", self.hold))
            if self.state is not None:
                found.append(("x-holdpoint-state", self.state.value))
        if self.grant:
            found.append(("x-holdpoint-grant", self.grant))
        if self.modified:
            found.append(("x-holdpoint-verdict", "modify"))
        return found
