"""The keys that the Bot Framework signs its tokens with: fetched in the background, kept for a day, found by their id.

::

    metadata (teams_openid_url) ─▶ jwks_uri ─▶ keys: kid → RSA key, the channels that it vouches for

https://learn.microsoft.com/azure/bot-service/rest-api/bot-framework-rest-connector-authentication, "Connector to Bot".
The SDK fetches these on the event loop without a time limit, and does not look again for an id that it does not know.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from bot.teams.bodies import read_object
from bot.teams.jwks import SigningKey, usable_keys
from holdpoint.clock import Clock
from holdpoint.errors import ChannelUnavailable, ConfigurationError
from holdpoint.tasks import Tasks

KEEP_MS = 24 * 3_600_000  # Microsoft: refresh at least once a day; older keys are trusted no more
RENEW_AFTER_MS = 12 * 3_600_000
UNKNOWN_EVERY_MS = 5 * 60_000  # how often an id that nobody knows makes us look again
FAILED_EVERY_MS = 10_000  # how often a fetch that failed is tried again
TIMEOUT_S = 3.0  # for both documents: an invoke has to be answered within five seconds
MOST_BYTES = 1024 * 1024

_log = logging.getLogger(__name__)


class NoKeys(ChannelUnavailable):
    """The signing keys cannot be had now: nothing can be verified, so nothing is let in."""


class SigningKeys:
    """`start`, ask `find`, `aclose`."""

    def __init__(self, url: str, *, clock: Clock) -> None:
        """Fetches nothing yet.

        Raises:
            ConfigurationError: ``url`` is not https, nor on this machine.
        """
        if not is_safe(url):
            raise ConfigurationError("ToBotFromChannelOpenIdMetadataUrl: must begin with https://")
        self._url = url
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None
        self._tasks = Tasks()
        self._fetching: asyncio.Task[None] | None = None
        self._keys: Mapping[str, SigningKey] = {}
        self._fetched_ms: int | None = None
        self._failed_ms: int | None = None
        self._unknown_ms: int | None = None

    async def start(self) -> None:
        """Open the connections, and begin to fetch; the first callback waits for what is left of that."""
        self._session = aiohttp.ClientSession(trust_env=True, cookie_jar=aiohttp.DummyCookieJar())
        self._renew()

    async def aclose(self) -> None:
        """Close all connections."""
        await self._tasks.aclose()
        if self._session is not None:
            await self._session.close()

    async def find(self, kid: str) -> SigningKey | None:
        """The key of that id, or None when the Bot Framework has none of it.

        An unknown id makes us look again, at once the first time and then every five minutes at most: ids are in the
        part of a token that anybody can write.

        Raises:
            NoKeys: the keys are not known, or too old, and cannot be had now.
        """
        age_ms = _since(self._fetched_ms, self._clock())
        if age_ms is None or age_ms >= KEEP_MS:
            await self._renewed()
            return self._keys.get(kid)
        if age_ms >= RENEW_AFTER_MS and not self._waits():
            self._renew()
        if kid not in self._keys and self._may_look_again():
            await self._look_again()
        return self._keys.get(kid)

    async def count(self) -> int:
        """How many keys are known; fetched now where none are, or too old ones (NoKeys: they cannot be had)."""
        age_ms = _since(self._fetched_ms, self._clock())
        if age_ms is None or age_ms >= KEEP_MS:
            await self._renewed()
        return len(self._keys)

    async def check(self) -> int:
        """How many keys there are now: the Bot Framework is asked, but for a moment after a failure.

        Raises:
            NoKeys: it does not say.
        """
        await self._renewed()
        return len(self._keys)

    async def _look_again(self) -> None:
        self._unknown_ms = self._clock()
        try:
            await self._renewed()
        except NoKeys:
            self._unknown_ms = None  # nothing was learnt; how often this is tried is limited by `_waits`
            raise

    def _may_look_again(self) -> bool:
        """Whoever finds a fetch under way waits for it, rather than being told no before it is over."""
        if self._fetching is not None:
            return True
        since = _since(self._unknown_ms, self._clock())
        return since is None or since >= UNKNOWN_EVERY_MS

    def _waits(self) -> bool:
        since = _since(self._failed_ms, self._clock())
        return since is not None and since < FAILED_EVERY_MS

    async def _renewed(self) -> None:
        """Fetch now, or wait for who is fetching already; the failure of a moment ago is not repeated."""
        if self._fetching is not None or not self._waits():
            # Shielded: one caller that gives up does not end the fetch of all the others.
            await asyncio.shield(self._renew())
        if self._failed_ms is not None:
            raise NoKeys("the Bot Framework's signing keys cannot be had", retry_after_seconds=FAILED_EVERY_MS / 1000)

    def _renew(self) -> asyncio.Task[None]:
        if self._fetching is None:
            self._fetching = self._tasks.start("teams signing keys", self._fetch())
        return self._fetching

    async def _fetch(self) -> None:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                self._keys = await self._announced()
            self._fetched_ms, self._failed_ms = self._clock(), None
        except (NoKeys, TimeoutError) as error:
            self._failed_ms = self._clock()
            _log.warning("Teams: %s", str(error) or "the signing keys took too long", extra={"url": self._url})
        finally:
            self._fetching = None

    async def _announced(self) -> Mapping[str, SigningKey]:
        metadata = await self._get(self._url)
        keys = usable_keys((await self._get(_keys_url(metadata, self._url))).get("keys"))
        if not keys:
            raise NoKeys("the signing keys' server names no usable key")
        return keys

    async def _get(self, url: str) -> Mapping[str, Any]:
        if self._session is None:
            raise NoKeys("the connection for signing keys is closed")
        try:
            # No redirects: they would lead past the check of the address.
            async with self._session.get(url, allow_redirects=False) as answer:
                if answer.status != 200:
                    raise NoKeys(f"the signing keys' server answers {answer.status}")
                return await read_object(answer, most_bytes=MOST_BYTES)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise NoKeys(f"the signing keys cannot be fetched: {type(error).__name__}") from error


def is_safe(url: str) -> bool:
    """Whether nobody on the way can change what is said at ``url``: it is https, or on this machine."""
    try:
        parsed = urlsplit(url)
    except ValueError:
        return False
    host = parsed.hostname or ""
    return bool(host) and (parsed.scheme == "https" or (parsed.scheme == "http" and _is_here(host)))


def _is_https(url: str) -> bool:
    return urlsplit(url).scheme == "https"


def _keys_url(metadata: Mapping[str, Any], url: str) -> str:
    # The metadata's own `issuer` is not looked at: a token's is held against the settings.
    found = metadata.get("jwks_uri")
    if not isinstance(found, str) or not is_safe(found) or (_is_https(url) and not _is_https(found)):
        raise NoKeys("the metadata names no https address of the signing keys")
    return found


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _since(then_ms: int | None, now_ms: int) -> int | None:
    """How long ago; None for never, and for a time that is still to come: the clock was set back."""
    return None if then_ms is None or then_ms > now_ms else now_ms - then_ms
