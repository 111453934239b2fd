"""Who calls? A bearer token and an activity → the Bot Connector, speaking for this activity, or a refusal.

Our own validation: the SDK's takes a token without ``exp``, and answers wrong ones with an error of its own. The steps of
https://learn.microsoft.com/azure/bot-service/rest-api/bot-framework-rest-connector-authentication, "Connector to Bot":

1. one ``Authorization`` header, ``Bearer`` and a JWT                  401
2. signed with RS256, by a key that the Bot Framework announces       401
3. its issuer, and our app as its audience                            401
4. valid now, give or take five minutes: ``exp``, and ``nbf``         401
5. the activity is of Teams, and the key vouches for Teams            403
6. ``serviceurl`` is the activity's ``serviceUrl``, an https address  403

Steps 1 to 4 need no look into the body. Tokens of the emulator and of other bots have other issuers, and get 401.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt

from bot.teams.arrived import Activity
from bot.teams.openid import SigningKeys
from holdpoint.clock import Clock
from holdpoint.errors import HoldpointError
from holdpoint.urls import is_safe

CHANNEL = "msteams"
LEEWAY_S = 300
MOST_CHARACTERS = 4_096  # of the header; Microsoft's have about 1 300
_MOST_KID = 256
_ALGORITHM = "RS256"
_REQUIRED = ("exp", "iss", "aud")


class TokenRefused(HoldpointError):
    """Not a call of Teams (``status`` 401), or not for this activity (403). ``str()`` is for the log, and quotes nothing."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


@dataclass(frozen=True, slots=True)
class Caller:
    """Who holds a valid token: its claims, and the channels that the key's owner may speak for."""

    claims: Mapping[str, Any]
    endorsements: frozenset[str]


class Tokens:
    """Validates with ``keys``. ``audience`` is our app id."""

    def __init__(self, keys: SigningKeys, *, issuer: str, audience: str, clock: Clock) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._clock = clock

    async def verify(self, header: str | None) -> Caller:
        """Steps 1 to 4, for the value of the ``Authorization`` header (None: there is not exactly one).

        Raises:
            TokenRefused: 401.
            NoKeys: it cannot be known.
        """
        token = _bearer(header)
        key = await self._keys.find(_key_id(token))
        if key is None:
            raise TokenRefused(401, "signed by a key that the Bot Framework does not announce")
        try:
            claims = jwt.decode(
                token, key.jwk, algorithms=[_ALGORITHM], issuer=self._issuer, audience=self._audience,
                # The times are checked below, by the clock that was passed in.
                options={
                    "require": list(_REQUIRED), "strict_aud": True,
                    "verify_exp": False, "verify_nbf": False, "verify_iat": False,
                },
            )  # fmt: skip
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise TokenRefused(401, f"not valid: {type(error).__name__}") from error
        self._check_times(claims)
        return Caller(claims, key.endorsements)

    def _check_times(self, claims: Mapping[str, Any]) -> None:
        now = self._clock() / 1000
        expires, begins = claims["exp"], claims.get("nbf", 0)
        for moment in (expires, begins):
            if isinstance(moment, bool) or not isinstance(moment, int | float):
                raise TokenRefused(401, "a time that is no number")
        # Written so that what is no number in disguise (NaN) is refused, too.
        if not now < expires + LEEWAY_S:
            raise TokenRefused(401, "expired")
        if not begins - LEEWAY_S <= now:
            raise TokenRefused(401, "not valid yet")


def check_fit(caller: Caller, activity: Activity) -> None:
    """Steps 5 and 6: ``caller`` may send ``activity``.

    Raises:
        TokenRefused: 403.
    """
    if activity.get("channelId") != CHANNEL:
        raise TokenRefused(403, "of another channel than Teams")
    if CHANNEL not in caller.endorsements:
        raise TokenRefused(403, "signed by a key that does not vouch for Teams")
    service_url = activity.get("serviceUrl")
    if not isinstance(service_url, str) or caller.claims.get("serviceurl") != service_url:
        raise TokenRefused(403, "for another service URL")
    # Our own token goes to this address with every answer.
    if not is_safe(service_url):
        raise TokenRefused(403, "of a service URL that is not https")


def _bearer(header: str | None) -> str:
    if header is None:
        raise TokenRefused(401, "not one token")
    scheme, _, token = header.strip().partition(" ")
    if len(header) > MOST_CHARACTERS or scheme.lower() != "bearer" or not token.isascii() or token.count(".") != 2:
        raise TokenRefused(401, "not a bearer's JSON Web Token")
    return token


def _key_id(token: str) -> str:
    """The id of the key that the token says it is signed by: not verified, and only good to look that key up."""
    try:
        head = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise TokenRefused(401, "not readable") from error
    kid = head.get("kid")
    if head.get("alg") != _ALGORITHM or not isinstance(kid, str) or not 0 < len(kid) <= _MOST_KID:
        raise TokenRefused(401, "another algorithm, or no key id")
    return kid
