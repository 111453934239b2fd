"""Which Entra groups somebody is in, nested ones included: asked of Microsoft Graph, remembered for a minute.

Only where ``TEAMS_GRAPH_URL`` is set. https://learn.microsoft.com/graph/api/directoryobject-checkmembergroups, which takes
twenty groups at a time, and wants the application permission GroupMember.Read.All (with User.ReadBasic.All or more).
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

import aiohttp

from bot.platform import AccessLost
from bot.remembered import Remembered
from bot.teams.credentials import Credentials
from holdpoint.clock import Clock
from holdpoint.errors import ChannelRefused, ChannelUnavailable, ConfigurationError
from holdpoint.tokens.bodies import read_object
from holdpoint.urls import is_safe

AT_ONCE = 20
TIMEOUT_S = 3.0
MOST_BYTES = 64 * 1024
RETRY_S = 30.0
PERMISSION = "give the app registration the application permission GroupMember.Read.All, with admin consent"


class GraphRefused(ChannelRefused):
    """Graph's last word. ``status`` is the HTTP status."""

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(f"Microsoft Graph answers {status}")


class Graph:
    """A `bot.teams.people.EntraGroups`. Open with `start`, close with `aclose`."""

    def __init__(self, url: str, credentials: Credentials, *, clock: Clock) -> None:
        """``url`` is Graph's root, such as https://graph.microsoft.com.

        Raises:
            ConfigurationError: it is neither https nor on this machine.
        """
        if not is_safe(url):
            raise ConfigurationError("TEAMS_GRAPH_URL: must begin with https://")
        self._url = url.rstrip("/")
        self._scope = f"{self._url}/.default"
        self._credentials = credentials
        self._answers: Remembered[frozenset[str]] = Remembered(clock)
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Open the connection pool."""
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        self._session = aiohttp.ClientSession(timeout=timeout, trust_env=True, cookie_jar=aiohttp.DummyCookieJar())

    async def aclose(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def groups_of(self, user: str, groups: Sequence[str]) -> frozenset[str]:
        """Those of ``groups`` (object ids) that the person of the object id ``user`` is in now.

        Raises:
            AccessLost: the login service, or Graph, does not accept the bot.
            GraphRefused: Graph does not know the person or a group, or the bot may not ask.
            ChannelUnavailable: it cannot be asked now.
        """
        wanted = sorted(set(groups))
        found: set[str] = set()
        for at in range(0, len(wanted), AT_ONCE):
            batch = wanted[at : at + AT_ONCE]
            found |= await self._answers.get(" ".join([user, *batch]), lambda batch=batch: self._ask(user, batch))  # type: ignore[misc]  # a default of a lambda
        return frozenset(found)

    async def _ask(self, user: str, groups: Sequence[str]) -> frozenset[str]:
        if self._session is None:
            raise ChannelUnavailable("the connection to Microsoft Graph is closed")
        token = await self._credentials.token(self._scope)
        url = f"{self._url}/v1.0/users/{quote(user, safe='')}/checkMemberGroups"
        try:
            # No redirects: they would hand the token on.
            async with self._session.post(
                url,
                json={"groupIds": list(groups)},
                headers={"Authorization": f"Bearer {token}"},
                allow_redirects=False,
            ) as answer:
                status, said = answer.status, await read_object(answer, most_bytes=MOST_BYTES)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise ChannelUnavailable(f"Microsoft Graph cannot be asked: {type(error).__name__}") from error
        if status == 401:
            self._credentials.drop(token, self._scope)
            raise AccessLost("Microsoft Graph does not accept the bot's token", retry_after_seconds=RETRY_S)
        if status == 429 or status >= 500 or status < 200 or 300 <= status < 400:
            raise ChannelUnavailable(f"Microsoft Graph answers {status}", retry_after_seconds=RETRY_S)
        if status != 200:
            raise GraphRefused(status)
        named = said.get("value")
        if not isinstance(named, list):
            raise ChannelUnavailable("Microsoft Graph answers without a list of groups")
        return frozenset(each.lower() for each in named if isinstance(each, str))
