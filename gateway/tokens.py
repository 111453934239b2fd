"""A token → requester. Verified once and remembered by its digest; until then, and when keys change, it is verified again.

What is remembered counts no longer than the token itself, the policy under which it was verified and the keys by which:
a push that removes its issuer, or a key that its provider withdraws, ends it.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from holdpoint.errors import BadToken, MissingGroups, ProviderUnavailable, Refusal
from holdpoint.model import RefusalCode, Requester
from holdpoint.policy import Policy
from holdpoint.policy.issuers import Issuer
from holdpoint.snapshot import Snapshot
from holdpoint.tokens.identity import identity_of
from holdpoint.tokens.keys import Key
from holdpoint.tokens.providers import Providers
from holdpoint.tokens.verify import SKEW_MS, addressed

GENERATION = 10_000  # tokens remembered before the older ones are forgotten; twice as many at most
_RETRY_SECONDS = 10
_SAY_EVERY_MS = 1_000

_log = logging.getLogger(__name__)


class KeysNeeded(Refusal):
    """An issuer has to be asked before a token can be verified. Where nobody does so, the request is refused."""

    def __init__(self) -> None:
        super().__init__(
            RefusalCode.UNAVAILABLE,
            "The token could not be checked just now: its issuer cannot be asked. Nothing was forwarded; send it again.",
            status=503,
            retry=True,
            retry_after_seconds=_RETRY_SECONDS,
        )


@dataclass(frozen=True, slots=True)
class TokenCaller:
    """Who has a token, and what that was concluded from."""

    requester: Requester
    issuer: Issuer
    expires_ms: int
    keys: Sequence[Key]


class TokenCallers:
    """Remembers in two generations: what was asked for in neither is forgotten."""

    def __init__(self, providers: Providers) -> None:
        self._providers = providers
        self._policy: Policy | None = None
        self._young: dict[bytes, TokenCaller] = {}
        self._old: dict[bytes, TokenCaller] = {}
        self._said_ms = 0

    def find(self, token: str, snapshot: Snapshot, now_ms: int) -> TokenCaller:
        """Never waits.

        Raises:
            KeysNeeded: await `ask_issuer` first.
            Refusal: 401.
        """
        if snapshot.policy is not self._policy:
            self._policy, self._young, self._old = snapshot.policy, {}, {}
        digest = hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
        known = self._young.get(digest)
        if known is None or self._providers.keys_now(known.issuer) is not known.keys:
            known = self._old.pop(digest, None)
            if known is None or self._providers.keys_now(known.issuer) is not known.keys:
                known = self._verified(token, snapshot, now_ms)
            self._remember(digest, known)
        if now_ms >= known.expires_ms + SKEW_MS:
            raise _refused()
        return known

    async def ask_issuer(self, token: str, snapshot: Snapshot, now_ms: int) -> None:
        """Have what is needed to verify ``token`` fetched, if it can be.

        Raises:
            Refusal: 503, the issuer cannot be asked; 401.
        """
        try:
            await self._providers.claims(token, _issuer_of(token, snapshot.policy))
        except ProviderUnavailable:
            raise KeysNeeded from None
        except BadToken as error:
            self._say(error, now_ms)
            raise _refused() from None

    def _verified(self, token: str, snapshot: Snapshot, now_ms: int) -> TokenCaller:
        try:
            issuer = _issuer_of(token, snapshot.policy)
            keys, claims = self._providers.keys_now(issuer), self._providers.claims_now(token, issuer)
            if keys is None or claims is None:
                raise KeysNeeded
            identity = identity_of(claims, issuer, snapshot.policy.groups)
        except BadToken as error:
            self._say(error, now_ms)
            raise _refused(error) from None
        requester = Requester(
            principal=identity.principal,
            groups=snapshot.groups_of(identity.principal, identity.groups),
            owner=identity.owner,
            name=identity.name,
            issuer=identity.issuer,
            aliases=identity.aliases,
        )
        return TokenCaller(requester, issuer, identity.expires_ms, keys)

    def _remember(self, digest: bytes, caller: TokenCaller) -> None:
        if len(self._young) >= GENERATION:
            self._old, self._young = self._young, {}
        self._young[digest] = caller

    def _say(self, error: BadToken, now_ms: int) -> None:
        """For who sets an issuer up; not for every token of who tries all day."""
        if not 0 <= now_ms - self._said_ms < _SAY_EVERY_MS:
            self._said_ms = now_ms
            _log.info("token refused: %s", error)


def _issuer_of(token: str, policy: Policy) -> Issuer:
    """The policy's entry by which ``token`` is to be verified. What it says of itself only finds the entry.

    Raises:
        BadToken: there is none.
    """
    said = addressed(token)
    for issuer in policy.issuers:
        if issuer.issuer == said.issuer and not issuer.audiences.isdisjoint(said.audiences):
            return issuer
    raise BadToken("of an issuer, or for an audience, that the policy does not name")


def _refused(error: BadToken | None = None) -> Refusal:
    reason = "The token is not valid here: it may have expired, or its issuer or audience is not accepted."
    if isinstance(error, MissingGroups):
        reason = (
            "The token does not list your groups, because there are too many of them. Have the identity provider put "
            "only the groups that are assigned to this application into its tokens."
        )
    return Refusal(RefusalCode.INVALID_API_KEY, reason, status=401)
