"""Reads what an identity provider publishes: JSON over https, within bounds, without following it elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import aiohttp

from holdpoint.errors import ProviderUnavailable
from holdpoint.tokens.bodies import read_object
from holdpoint.urls import is_https, is_safe

MOST_BYTES = 1024 * 1024


class Reading:
    """`start`, `get`, `aclose`."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Open no connection yet, but make ready to."""
        self._session = aiohttp.ClientSession(trust_env=True, cookie_jar=aiohttp.DummyCookieJar())

    async def aclose(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    async def get(self, url: str) -> Mapping[str, Any]:
        """The JSON object at ``url``; an empty one where it is something else.

        Raises:
            ProviderUnavailable: it cannot be had, or is too long. The caller limits the time.
        """
        if self._session is None:
            raise ProviderUnavailable("there is no connection")
        try:
            # No redirects: they would lead past the check of the address.
            async with self._session.get(url, allow_redirects=False) as answer:
                if answer.status != 200:
                    raise ProviderUnavailable(f"the server answers {answer.status}")
                return await read_object(answer, most_bytes=MOST_BYTES)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise ProviderUnavailable(f"cannot be fetched: {type(error).__name__}") from error


def keys_url(metadata: Mapping[str, Any], url: str) -> str:
    """Where the keys are, by the metadata that stands at ``url``.

    Raises:
        ProviderUnavailable: it does not say, or names an address that somebody on the way could answer for.
    """
    found = metadata.get("jwks_uri")
    if not isinstance(found, str) or not is_safe(found) or (is_https(url) and not is_https(found)):
        raise ProviderUnavailable("the metadata names no https address of the signing keys")
    return found
