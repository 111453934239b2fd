"""One mail handed in at the mail server: connect, TLS, log in, envelope, content. The only user of aiosmtplib.

==========================  ===========================================================================
what the server does        what it means
==========================  ===========================================================================
cannot be reached, 4xx      `ChannelUnavailable`, with the seconds to wait: nothing was sent
no TLS, no login, no sender `AccessLost`: waits for an admin
5xx for the address         `NoMailbox`: this address, now and later
5xx for the content         `ChannelRefused`
the answer to it is lost    `ChannelUnavailable` without seconds: the mail may have been delivered
==========================  ===========================================================================

Errors carry the server's code, never its words: those may repeat what was sent. RFC 5321, 4.2 and 4.5.3.2; RFC 3463.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import NoReturn, cast

from aiosmtplib import (
    SMTP,
    SMTPAuthenticationError,
    SMTPException,
    SMTPRecipientRefused,
    SMTPResponseException,
    SMTPSenderRefused,
)

from bot.email.server import MailServer, Security
from bot.platform import AccessLost
from holdpoint.errors import ChannelRefused, ChannelUnavailable

HANDSHAKE_S = 8.0  # until the server is ready for a mail
COMMAND_S = 8.0
ANSWER_S = 60.0  # servers look through the content before they take it
AWAY_S = 10.0  # how long a server that cannot be reached is left alone
LATER_S = 30.0  # the same for one that says "not now" (greylisting)
LOST_S = 30.0
MOST_AT_ONCE = 4  # connections
_GOODBYE_S = 1.0
_ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3}\b")


class NoMailbox(ChannelRefused):
    """The server does not take mail for this address."""


class Sender:
    """Hands mails in, a connection for each. The seconds are arguments for tests."""

    def __init__(self, server: MailServer, *, handshake_s: float = HANDSHAKE_S, answer_s: float = ANSWER_S) -> None:
        self._server = server
        self._handshake_s = handshake_s
        self._answer_s = answer_s
        self._slots = asyncio.Semaphore(MOST_AT_ONCE)

    async def send(self, message: bytes, *, to: str) -> None:
        """Hand in ``message`` (RFC 5322, 7 bit) for the address ``to``; returns when the server has taken it.

        Raises:
            AccessLost, NoMailbox, ChannelRefused, ChannelUnavailable: see the module.
        """
        async with self._slots, self._session() as client:
            await self._envelope(client, to)
            await self._content(client, message)
            with suppress(SMTPException, OSError):
                await client.quit(timeout=_GOODBYE_S)

    async def probe(self) -> str:
        """Whether a mail could be handed in, without one; returns how the connection is protected, in words.

        Raises:
            AccessLost, ChannelUnavailable: see the module.
        """
        async with self._slots, self._session() as client:
            transport = client.get_transport_info("ssl_object")
            with suppress(SMTPException, OSError):
                await client.quit(timeout=_GOODBYE_S)
        tls = str(transport.version()) if transport is not None else Security.NONE.value
        return f"{tls}, {'logged in' if self._server.password else 'no login'}"

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[SMTP]:
        """A connection on which mails can be handed in."""
        server = self._server
        # The name in EHLO: a domain that exists, for servers that insist; to ask for this machine's own may take seconds.
        client = SMTP(
            local_hostname=server.domain, hostname=server.host, port=server.port, timeout=COMMAND_S, start_tls=False,
            use_tls=server.security is Security.TLS, tls_context=await asyncio.to_thread(ssl.create_default_context),
        )  # fmt: skip
        transport: asyncio.BaseTransport | None = None
        try:
            try:
                async with asyncio.timeout(self._handshake_s):
                    await self._greet(client)
            except (SMTPException, OSError, TimeoutError) as error:
                _not_ready(error)
            finally:
                transport = client.transport
            yield client
        finally:
            client.close()
            # All is said: to close TLS alone keeps the socket open until the server has said goodbye in TLS, too.
            if transport is not None:
                cast("asyncio.WriteTransport", transport).abort()

    async def _greet(self, client: SMTP) -> None:
        await client.connect()
        await client.ehlo()
        if self._server.security is Security.STARTTLS:
            if not client.supports_extension("starttls"):
                raise AccessLost("the mail server offers no STARTTLS: nothing was sent", retry_after_seconds=LOST_S)
            await client.starttls()
            await client.ehlo()
        if self._server.password is not None:
            if not client.supported_auth_methods:
                raise AccessLost("the mail server offers no login", retry_after_seconds=LOST_S)
            await client.login(self._server.user, self._server.password.get_secret_value())

    async def _envelope(self, client: SMTP, to: str) -> None:
        try:
            await client.mail(self._server.sender)
            await client.rcpt(to)
        except SMTPSenderRefused as error:
            if error.code < 500:
                raise _later(error) from error
            said = f"the mail server does not take mail from HOLDPOINT_EMAIL_FROM ({_code(error)})"
            raise AccessLost(said, retry_after_seconds=LOST_S) from error
        except SMTPRecipientRefused as error:
            if error.code < 500:
                raise _later(error) from error
            raise NoMailbox(f"the mail server takes no mail for this address ({_code(error)})") from error
        except (SMTPException, OSError) as error:
            raise ChannelUnavailable("the mail server went away", retry_after_seconds=AWAY_S) from error

    async def _content(self, client: SMTP, message: bytes) -> None:
        try:
            await client.data(message, timeout=self._answer_s)
        except SMTPResponseException as error:
            if 400 <= error.code < 500:
                raise _later(error) from error
            if error.code >= 500:
                raise ChannelRefused(f"the mail server does not take the content ({_code(error)})") from error
            raise ChannelUnavailable(f"the mail server answered oddly ({error.code})") from error
        except (SMTPException, OSError) as error:
            # It may have taken the mail and lost the connection: the next attempt carries the same Message-ID.
            raise ChannelUnavailable("the mail server did not say whether it took the mail") from error


def _not_ready(error: Exception) -> NoReturn:
    """What a failure before the envelope means: nothing was sent in any case."""
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in (error, error.__cause__)):
        said = "the mail server's certificate is not valid for its name, or not trusted here"
        raise AccessLost(said, retry_after_seconds=LOST_S) from error
    if isinstance(error, SMTPAuthenticationError) and error.code >= 500:
        raise AccessLost(f"the mail server refused the login ({_code(error)})", retry_after_seconds=LOST_S) from error
    if isinstance(error, SMTPResponseException):
        raise _later(error) from error
    raise ChannelUnavailable("the mail server cannot be reached", retry_after_seconds=AWAY_S) from error


def _later(error: SMTPResponseException) -> ChannelUnavailable:
    return ChannelUnavailable(f"the mail server says: not now ({_code(error)})", retry_after_seconds=LATER_S)


def _code(error: SMTPResponseException) -> str:
    """``550 5.1.1``."""
    enhanced = _ENHANCED.match(error.message)
    return f"{error.code} {enhanced[0]}" if enhanced else str(error.code)
