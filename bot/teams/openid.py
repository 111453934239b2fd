"""The keys that the Bot Framework signs its tokens with: fetched in the background, kept for a day, found by their id.

::

    metadata (teams_openid_url) ─▶ jwks_uri ─▶ keys: kid → RSA key, the channels that it vouches for

https://learn.microsoft.com/azure/bot-service/rest-api/bot-framework-rest-connector-authentication, "Connector to Bot".
The SDK fetches these on the event loop without a time limit, and does not look again for an id that it does not know.
"""

from __future__ import annotations

from collections.abc import Mapping

from bot.teams.jwks import SigningKey, usable_keys
from holdpoint.clock import Clock
from holdpoint.errors import ChannelUnavailable, ConfigurationError, ProviderUnavailable
from holdpoint.tasks import Tasks
from holdpoint.tokens.kept import Kept, Terms
from holdpoint.tokens.reading import Reading, keys_url
from holdpoint.urls import is_safe

KEEP_MS = 24 * 3_600_000  # Microsoft: refresh at least once a day; older keys are trusted no more
RENEW_AFTER_MS = 12 * 3_600_000
UNKNOWN_EVERY_MS = 5 * 60_000  # how often an id that nobody knows makes us look again
FAILED_EVERY_MS = 10_000  # how often a fetch that failed is tried again
TIMEOUT_S = 3.0  # for both documents: an invoke has to be answered within five seconds


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
        self._tasks = Tasks()
        self._reading = Reading()
        terms = Terms(KEEP_MS, RENEW_AFTER_MS, UNKNOWN_EVERY_MS, FAILED_EVERY_MS, TIMEOUT_S)
        self._kept = Kept(self._announced, name="teams signing keys", terms=terms, clock=clock, tasks=self._tasks)

    async def start(self) -> None:
        """Open the connections, and begin to fetch; the first callback waits for what is left of that."""
        await self._reading.start()
        self._kept.renew()

    async def aclose(self) -> None:
        """Close all connections."""
        await self._tasks.aclose()
        await self._reading.aclose()

    async def find(self, kid: str) -> SigningKey | None:
        """The key of that id, or None when the Bot Framework has none of it.

        An unknown id makes us look again, at once the first time and then every five minutes at most: ids are in the
        part of a token that anybody can write.

        Raises:
            NoKeys: the keys are not known, or too old, and cannot be had now.
        """
        try:
            keys = self._kept.now()
            if keys is None:
                return (await self._kept.get()).get(kid)
            if kid not in keys:
                keys = await self._kept.again() or keys
        except ProviderUnavailable as error:
            raise _no_keys(error) from error
        return keys.get(kid)

    async def count(self) -> int:
        """How many keys are known; fetched now where none are, or too old ones (NoKeys: they cannot be had)."""
        try:
            return len(await self._kept.get())
        except ProviderUnavailable as error:
            raise _no_keys(error) from error

    async def check(self) -> int:
        """How many keys there are now: the Bot Framework is asked, but for a moment after a failure.

        Raises:
            NoKeys: it does not say.
        """
        try:
            return len(await self._kept.renewed())
        except ProviderUnavailable as error:
            raise _no_keys(error) from error

    async def _announced(self) -> Mapping[str, SigningKey]:
        # The metadata's own `issuer` is not looked at: a token's is held against the settings.
        metadata = await self._reading.get(self._url)
        keys = usable_keys((await self._reading.get(keys_url(metadata, self._url))).get("keys"))
        if not keys:
            raise ProviderUnavailable("the signing keys' server names no usable key")
        return keys


def _no_keys(error: ProviderUnavailable) -> NoKeys:
    return NoKeys("the Bot Framework's signing keys cannot be had", retry_after_seconds=error.retry_after_seconds)
