"""The mail server and the sender, out of the settings; whatever is wrong is one line that names the variable, never its value."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.utils import parseaddr
from enum import Enum
from ipaddress import ip_address
from typing import NoReturn
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import SecretStr

from holdpoint.errors import ConfigurationError
from holdpoint.mailbox import mailbox
from holdpoint.settings import Settings

_FORM = "smtp://user:password@host:587 or smtps://user:password@host:465"
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252}[A-Za-z0-9])?|[0-9A-Fa-f:.]{2,45}")
_NAME = re.compile(r"[^\x00-\x1f\x7f<>\"@,;:\\()\[\]]{0,100}")


class Security(Enum):
    """How the connection is protected. ``NONE`` is for this machine alone."""

    TLS = "TLS"
    STARTTLS = "STARTTLS"
    NONE = "no TLS"


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail is handed in, and as whom. ``sender`` is the bare address, ``name`` what people read in front of it."""

    host: str
    port: int
    security: Security
    sender: str
    name: str = ""
    user: str = ""
    password: SecretStr | None = None

    @property
    def domain(self) -> str:
        """The domain of the sender, for the ids of mails."""
        return self.sender.rpartition("@")[2]


def mail_server(settings: Settings) -> MailServer:
    """The mail server of the settings. A password never goes over a network in the clear.

    Raises:
        ConfigurationError: HOLDPOINT_SMTP_URL or HOLDPOINT_EMAIL_FROM is missing or wrong.
    """
    if settings.smtp_url is None:
        raise ConfigurationError("HOLDPOINT_SMTP_URL: not set")
    try:
        url = urlsplit(settings.smtp_url.get_secret_value())
        port = url.port
        (url.hostname or "").encode("idna")  # as whoever connects will; of a name with an empty part, a UnicodeError
    except ValueError:
        _wrong("is no URL")
    if url.scheme not in ("smtp", "smtps") or not url.hostname or not _HOST.fullmatch(url.hostname):
        _wrong("is no URL of a mail server")
    if url.path not in ("", "/") or url.fragment:
        _wrong("has something behind the host")
    if port == 0:
        _wrong("has no possible port")
    user, password = _credentials(url)
    security = _security(url)
    name, sender = _sender(settings.email_from)
    return MailServer(
        url.hostname, port or (465 if security is Security.TLS else 587), security, sender, name, user,
        SecretStr(password) if password else None,
    )  # fmt: skip


def _credentials(url: SplitResult) -> tuple[str, str]:
    """User and password, which may be percent-encoded; both or none."""
    try:
        user, password = unquote(url.username or "", errors="strict"), unquote(url.password or "", errors="strict")
    except UnicodeDecodeError:
        _wrong("has a user or password that is not percent-encoded UTF-8")
    if bool(user) != bool(password):
        _wrong("names a user or a password, but not both")
    if any(character < " " or character == "\x7f" for character in user + password):
        _wrong("has a user or password with control characters")
    return user, password


def _security(url: SplitResult) -> Security:
    if url.query not in ("", "starttls=never"):
        _wrong("has an unknown option")
    if url.scheme == "smtps":
        if url.query:
            _wrong("says starttls=never, which smtps:// has no use for")
        return Security.TLS
    if _is_loopback(url.hostname or ""):
        return Security.NONE
    if url.query:
        _wrong("says starttls=never, which is for this machine alone: nothing is sent over a network in the clear")
    return Security.STARTTLS


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _sender(text: str) -> tuple[str, str]:
    """``Holdpoint <holdpoint@example.com>``, or the address alone."""
    if not text.strip():
        raise ConfigurationError(
            "HOLDPOINT_EMAIL_FROM: not set; it is needed with HOLDPOINT_SMTP_URL: Holdpoint <holdpoint@example.com>"
        )
    name, address = parseaddr(text)
    sender = mailbox(address)
    plain = text.strip() in (address, f"<{address}>", f"{name} <{address}>", f'"{name}" <{address}>')
    if sender is None or not plain or not _NAME.fullmatch(name):
        raise ConfigurationError("HOLDPOINT_EMAIL_FROM: is not one address: write Holdpoint <holdpoint@example.com>")
    return name, sender


def _wrong(what: str) -> NoReturn:
    raise ConfigurationError(f"HOLDPOINT_SMTP_URL: {what}; write {_FORM}") from None
