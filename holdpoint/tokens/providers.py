"""The identity providers that the policy trusts: their addresses and keys, fetched when they are needed, and kept.

::

    issuer ─▶ <issuer>/.well-known/openid-configuration (its `issuer` must be the same) ─▶ jwks_uri ─▶ keys
    issuer with `jwks` ─────────────────────────────────────────────────────────────────────────────▶ keys

Keys are kept for a day while the provider cannot be asked, and renewed every quarter of an hour while it can, so that a
key that it withdraws counts no longer than that. A token that is signed by none of them makes us look again, so often at
most: anybody can write such a token. Whoever verifies with nothing to verify by refuses.

OpenID Connect Discovery 1.0, section 4; https://openid.net/specs/openid-connect-core-1_0.html, section 10.1.1 (rotation).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from holdpoint.clock import Clock
from holdpoint.errors import ProviderUnavailable, UnknownKeyId
from holdpoint.policy.issuers import Issuer
from holdpoint.tasks import OnDeath, Tasks
from holdpoint.tokens.kept import Kept, Terms
from holdpoint.tokens.keys import Key, usable_keys
from holdpoint.tokens.reading import Reading, keys_url
from holdpoint.tokens.verify import claims_of
from holdpoint.urls import is_https, is_safe

TERMS = Terms(
    keep_ms=24 * 3_600_000,
    renew_after_ms=15 * 60_000,
    again_every_ms=30_000,
    failed_every_ms=10_000,
    timeout_s=5.0,
)


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where a provider does what; empty where it does not.

    ``scopes`` are those that it announces. ``posts_secret``: it takes a client's secret in the body alone. ``names_itself``:
    it says who it is when it sends somebody back (RFC 9207).
    """

    authorization: str
    token: str
    device: str
    jwks: str
    end_session: str
    scopes: frozenset[str] = frozenset()
    posts_secret: bool = False
    names_itself: bool = False


@dataclass(frozen=True, slots=True)
class _Announced:
    """What a provider said at one time. ``endpoints`` is None where only its keys were asked for."""

    keys: Sequence[Key]
    endpoints: Endpoints | None


class Providers:
    """`start`, then ask, `aclose`. Only ever asks whom the policy names."""

    def __init__(self, *, clock: Clock, on_death: OnDeath | None = None) -> None:
        """Fetches nothing yet."""
        self._clock = clock
        self._tasks = Tasks(on_death=on_death)
        self._reading = Reading()
        self._known: dict[tuple[str, str | None], Kept[_Announced]] = {}

    async def start(self) -> None:
        """Make ready to ask."""
        await self._reading.start()

    async def aclose(self) -> None:
        """Close all connections."""
        await self._tasks.aclose()
        await self._reading.aclose()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.aclose()

    def keys_now(self, issuer: Issuer) -> Sequence[Key] | None:
        """The keys that are known, the same object until they are fetched again; None when they have to be. Never waits."""
        announced = self._of(issuer.issuer, issuer.jwks).now()
        return announced.keys if announced is not None else None

    def claims_now(self, token: str, issuer: Issuer) -> Mapping[str, Any] | None:
        """`claims` without waiting; None when something has to be fetched first.

        Raises:
            BadToken: it does not count.
        """
        kept = self._of(issuer.issuer, issuer.jwks)
        announced = kept.now()
        if announced is None:
            return None
        try:
            return self._claims(token, announced, issuer, issuer.audiences)
        except UnknownKeyId:
            if kept.may_look_again:
                return None
            raise

    async def claims(
        self, token: str, issuer: Issuer, *, audiences: Collection[str] | None = None
    ) -> Mapping[str, Any]:
        """The claims of ``token``, if ``issuer`` has issued it for one of ``audiences`` (those that the policy names).

        Raises:
            BadToken: it does not count.
            ProviderUnavailable: nobody knows, because the provider cannot be asked.
        """
        wanted = issuer.audiences if audiences is None else audiences
        kept = self._of(issuer.issuer, issuer.jwks)
        known = kept.now()
        if known is None:
            return self._claims(token, await kept.get(), issuer, wanted)
        try:
            return self._claims(token, known, issuer, wanted)
        except UnknownKeyId:
            newer = await kept.again()
            if newer is None:
                raise
        return self._claims(token, newer, issuer, wanted)

    async def endpoints(self, issuer: str) -> Endpoints:
        """The addresses that ``issuer`` announces.

        Raises:
            ProviderUnavailable: it cannot be asked.
        """
        announced = await self._of(issuer, None).get()
        if announced.endpoints is None:
            raise ProviderUnavailable(f"keys of {issuer}: no discovery")
        return announced.endpoints

    def _claims(
        self, token: str, announced: _Announced, issuer: Issuer, audiences: Collection[str]
    ) -> Mapping[str, Any]:
        return claims_of(
            token,
            announced.keys,
            issuer=issuer.issuer,
            audiences=audiences,
            algorithms=issuer.algorithms,
            now_ms=self._clock(),
        )

    def _of(self, issuer: str, jwks: str | None) -> Kept[_Announced]:
        place = issuer, jwks
        kept = self._known.get(place)
        if kept is None:

            async def fetch() -> _Announced:
                return await self._announced(issuer, jwks)

            kept = Kept(fetch, name=f"keys of {issuer}", terms=TERMS, clock=self._clock, tasks=self._tasks)
            self._known[place] = kept
        return kept

    async def _announced(self, issuer: str, jwks: str | None) -> _Announced:
        endpoints = await self._endpoints(issuer) if jwks is None else None
        where = endpoints.jwks if endpoints is not None else jwks or ""
        keys = usable_keys((await self._reading.get(where)).get("keys"))
        if not keys:
            raise ProviderUnavailable("there is no usable key")
        return _Announced(keys, endpoints)

    async def _endpoints(self, issuer: str) -> Endpoints:
        metadata = await self._reading.get(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        if metadata.get("issuer") != issuer:
            raise ProviderUnavailable("the discovery document is of another issuer")
        return Endpoints(
            authorization=_address(metadata, "authorization_endpoint", issuer),
            token=_address(metadata, "token_endpoint", issuer),
            device=_address(metadata, "device_authorization_endpoint", issuer),
            jwks=keys_url(metadata, issuer),
            end_session=_address(metadata, "end_session_endpoint", issuer),
            scopes=_names(metadata, "scopes_supported"),
            posts_secret=_posts_secret(_names(metadata, "token_endpoint_auth_methods_supported")),
            names_itself=metadata.get("authorization_response_iss_parameter_supported") is True,
        )


def _address(metadata: Mapping[str, Any], name: str, issuer: str) -> str:
    """An address to go to or to send secrets to; empty where it is none that is safe."""
    found = metadata.get(name)
    if not isinstance(found, str) or not is_safe(found) or (is_https(issuer) and not is_https(found)):
        return ""
    return found


def _names(metadata: Mapping[str, Any], name: str) -> frozenset[str]:
    """A list of names; empty where it is none."""
    found = metadata.get(name)
    return frozenset(each for each in found if isinstance(each, str)) if isinstance(found, list) else frozenset()


def _posts_secret(methods: frozenset[str]) -> bool:
    """Whether a secret has to be in the body: the other way is usual, and announced by silence (Discovery, section 3)."""
    return "client_secret_post" in methods and "client_secret_basic" not in methods
