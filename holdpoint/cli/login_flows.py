"""Two ways in which somebody at a terminal signs in at their identity provider: in their browser here, or on another device.

::

    by_browser: authorization ─▶ provider ─▶ loopback ─ code + PKCE ─▶ tokens      (RFC 8252, RFC 7636)
    by_device:  user code ─▶ person, anywhere ‖ polling ─▶ tokens                   (RFC 8628)

Nothing secret is ever in a command line or in a log: tokens travel in bodies, and end on standard output.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from bot.web.oidc_checks import check_access_token, check_nonce, check_party, with_query
from holdpoint.cli.common import Refused
from holdpoint.cli.loopback import Loopback, loopback
from holdpoint.errors import BadToken, ConfigurationError, GrantRefused, ProviderUnavailable
from holdpoint.policy.issuers import Issuer
from holdpoint.tokens.grants import Client, Grants, Tokens, new_verifier
from holdpoint.tokens.providers import Endpoints, Providers
from holdpoint.tokens.verify import moment_ms
from holdpoint.visible import visible_line

T = TypeVar("T")

_PATIENCE_S = 300.0
_SLOWER_S = 5.0  # RFC 8628, section 3.5

Say = Callable[[str], None]
"""Tells the person something, beside what programs read."""


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """``token`` is the id token: the one that says for whom it is, in a form that everybody can verify."""

    token: str
    who: str
    expires_ms: int


class Login:
    """One sign-in at ``issuer``, as ``client``. An empty ``scope`` is the usual one."""

    def __init__(
        self, issuer: str, client: Client, scope: str, *, providers: Providers, grants: Grants, say: Say
    ) -> None:
        self._issuer = Issuer(issuer, frozenset({client.id}))
        self._client = client
        self._scope = scope
        self._providers = providers
        self._grants = grants
        self._say = say

    async def by_browser(self) -> LoggedIn:
        """In the browser of this machine.

        Raises:
            Refused: the provider or the person says no, or nobody comes back.
            ConfigurationError: the provider cannot be asked, or not so.
        """
        endpoints = await self._endpoints()
        state, nonce, (verifier, challenge) = secrets.token_urlsafe(32), secrets.token_urlsafe(24), new_verifier()
        async with loopback(state) as back:
            url = self._authorization_url(
                endpoints, redirect_uri=back.redirect_uri, state=state, nonce=nonce, challenge=challenge
            )
            answer = await self._answer_to(url, back)
        code = self._code_in(answer, endpoints)
        tokens = await self._granted(
            self._grants.by_code(endpoints, self._client, code=code, verifier=verifier, redirect_uri=back.redirect_uri)
        )
        return await self._logged_in(tokens, nonce=nonce)

    async def by_device(self) -> LoggedIn:
        """On any device that has a browser. Raises as `by_browser`."""
        endpoints = await self._endpoints()
        if not endpoints.device:
            raise ConfigurationError("--device: this provider does not offer it")
        device = await self._granted(self._grants.device(endpoints, self._client, scope=self._asked(endpoints)))
        where = visible_line(device.complete_uri or device.uri)
        self._say(f"On any device, go to\n{where}\nand check that it shows the code {device.user_code}, or type it in.")
        every_s = device.every_s
        try:
            async with asyncio.timeout(device.lasts_s):
                while True:
                    await asyncio.sleep(every_s)
                    try:
                        tokens = await self._grants.by_device(endpoints, self._client, device_code=device.code)
                        return await self._logged_in(tokens, nonce=None)
                    except ProviderUnavailable:
                        every_s *= 2  # RFC 8628, section 3.5
                    except GrantRefused as error:
                        if error.code == "slow_down":
                            every_s += _SLOWER_S
                        elif error.code != "authorization_pending":
                            raise _refused(error) from error
        except TimeoutError:
            raise Refused("nobody has signed in in time") from None

    def _authorization_url(
        self, endpoints: Endpoints, *, redirect_uri: str, state: str, nonce: str, challenge: str
    ) -> str:
        """Where the person signs in."""
        if not endpoints.authorization:
            raise ConfigurationError("--issuer: this provider announces no page to sign in at")
        return with_query(
            endpoints.authorization,
            {
                "response_type": "code", "client_id": self._client.id, "redirect_uri": redirect_uri,
                "scope": self._asked(endpoints), "state": state, "nonce": nonce, "code_challenge": challenge,
                "code_challenge_method": "S256",
            },
        )  # fmt: skip

    async def _answer_to(self, url: str, back: Loopback) -> Mapping[str, str]:
        """What the person's browser, sent to ``url``, comes back with."""
        self._say(f"Sign in in your browser. If none opens, go to\n{visible_line(url)}")
        browser = await _open(url)
        try:
            return await back.answer(seconds=_PATIENCE_S)
        except TimeoutError:
            raise Refused("nobody has signed in within five minutes") from None
        finally:
            if browser.returncode is None:
                browser.terminate()
                await browser.wait()

    def _code_in(self, answer: Mapping[str, str], endpoints: Endpoints) -> str:
        # The provider says who it is, so that none can pass off another one's code as its own (RFC 9207).
        if answer.get("iss", self._issuer.issuer) != self._issuer.issuer or (
            endpoints.names_itself and "iss" not in answer
        ):
            raise Refused("another identity provider has answered")
        if "code" not in answer:
            words = f"{answer.get('error', 'no code')}: {answer.get('error_description', '')}".rstrip(": ")
            raise Refused(f"the identity provider answers: {visible_line(words)[:300]}")
        return answer["code"]

    async def _endpoints(self) -> Endpoints:
        try:
            return await self._providers.endpoints(self._issuer.issuer)
        except ProviderUnavailable as error:
            raise ConfigurationError("--issuer: no OpenID provider answers there") from error

    def _asked(self, endpoints: Endpoints) -> str:
        return self._scope or " ".join(["openid", "email", "profile", *({"groups"} & endpoints.scopes)])

    async def _granted(self, asking: Awaitable[T]) -> T:
        try:
            return await asking
        except ProviderUnavailable as error:
            raise ConfigurationError(f"--issuer: the provider does not answer ({error})") from error
        except GrantRefused as error:
            raise _refused(error) from error

    async def _logged_in(self, tokens: Tokens, *, nonce: str | None) -> LoggedIn:
        if not tokens.id_token:
            raise Refused("the identity provider has sent no id token; does --scope have openid?")
        try:
            claims = await self._providers.claims(tokens.id_token, self._issuer)
            if nonce is not None:
                check_nonce(claims, nonce)
            check_party(claims, self._client.id)
            check_access_token(claims, tokens.id_token, tokens.access_token)
            expires_ms = moment_ms(claims, "exp")
        except BadToken as error:
            raise Refused(f"the identity provider's token cannot be accepted: {error}") from error
        except ProviderUnavailable as error:
            raise ConfigurationError("--issuer: the provider's keys cannot be had") from error
        who = next((claims[name] for name in ("email", "preferred_username", "sub") if claims.get(name)), "")
        return LoggedIn(tokens.id_token, visible_line(str(who))[:200], expires_ms)


def _refused(error: GrantRefused) -> Refused:
    match error.code:
        case "access_denied":
            return Refused("you were not let in, or stopped the sign-in")
        case "expired_token":
            return Refused("nobody has signed in in time")
        case _:
            return Refused(f"the identity provider answers: {error}")


async def _open(url: str) -> asyncio.subprocess.Process:
    """The person's browser, in a process that cannot write among what we print, nor takes modules from this folder."""
    nowhere = asyncio.subprocess.DEVNULL
    return await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-m", "webbrowser", url, stdin=nowhere, stdout=nowhere, stderr=nowhere
    )
