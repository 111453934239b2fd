"""Where a request comes from: the address of its client, also behind a reverse proxy that the settings trust.

The same networks count as for the gateway (HOLDPOINT_TRUSTED_PROXIES), and the same header of theirs. From anybody else
that header is the client's own, and nothing is read in it.
"""

from __future__ import annotations

from typing import Final

from aiohttp import web

from bot.web.site import site_of
from holdpoint.addresses import TrustedProxies, normalised
from holdpoint.errors import ConfigurationError
from holdpoint.forwarded import client_behind
from holdpoint.settings import Settings

PROXIES: Final = web.AppKey("proxies", TrustedProxies)


def trusted_proxies(settings: Settings) -> TrustedProxies:
    """Whose word about clients counts.

    Raises:
        ConfigurationError: the setting is wrong.
    """
    try:
        return TrustedProxies(settings.trusted_proxies)
    except ValueError as error:
        raise ConfigurationError(f"HOLDPOINT_TRUSTED_PROXIES: {error}") from None


def client_address(request: web.Request) -> str:
    """The network address of the client; empty when a trusted proxy says something that nobody can read."""
    peer, header = request.remote or "", site_of(request).settings.forwarded_header
    peer = normalised(peer) or peer
    values = request.headers.getall(header, [])
    return client_behind(peer, header, values, request.config_dict[PROXIES]) or ""
