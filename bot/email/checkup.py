"""Does e-mail work, and if not, what is to be done? The connection, the login, the link's address, every routed address.

Only the door is tried (connect, EHLO, TLS, login); no mail is sent.
"""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from bot.email import KIND
from bot.email.sender import Sender
from bot.email.server import MailServer
from bot.platform import AccessLost
from holdpoint.errors import ChannelUnavailable
from holdpoint.findings import Finding, Grade
from holdpoint.live import Live
from holdpoint.mailbox import mailbox


async def check_up(server: MailServer, sender: Sender, live: Live, *, link_base: str) -> list[Finding]:
    """All findings, the most basic first."""
    findings = [await _server(server, sender), _links(link_base)]
    routes = (*live.snapshot.policy.routes, *live.snapshot.routes)
    targets = sorted({channel for route in routes for channel in route.channels if channel.startswith(f"{KIND}:")})
    return [*findings, *(_address(target) for target in targets)]


async def _server(server: MailServer, sender: Sender) -> Finding:
    where = f"{server.host}:{server.port}"
    try:
        said = await sender.probe()
    except AccessLost as error:
        return Finding(KIND, Grade.FAIL, f"{where}: {error}", "correct HOLDPOINT_SMTP_URL, or ask who runs the server")
    except ChannelUnavailable as error:
        advice = "can this machine reach it? See HOLDPOINT_SMTP_URL; smtp:// is port 587, smtps:// port 465"
        return Finding(KIND, Grade.FAIL, f"{where}: {error}", advice)
    return Finding(KIND, Grade.OK, f"{where}: {said}; mail comes from {server.sender}")


def _links(link_base: str) -> Finding:
    """Whether a link in a mail leads anywhere but to this machine."""
    url = urlsplit(link_base)
    if _is_here(url.hostname or ""):
        advice = "set HOLDPOINT_PUBLIC_URL to the address at which browsers reach the bot"
        return Finding("email links", Grade.WARN, f"they lead to {link_base}, which is this machine", advice)
    if url.scheme != "https":
        advice = "put TLS in front of the bot: people sign in behind the link"
        return Finding("email links", Grade.WARN, f"they lead to {link_base}, without TLS", advice)
    return Finding("email links", Grade.OK, f"they lead to {link_base}")


def _is_here(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return host == "localhost"
    return address.is_loopback or address.is_unspecified


def _address(target: str) -> Finding:
    if mailbox(target.removeprefix(f"{KIND}:")) is None:
        return Finding(target, Grade.FAIL, "not one e-mail address", "correct the route: email:team@example.com")
    return Finding(target, Grade.OK, "is one address")
