"""One token, one set of keys: the whole matrix of what can be wrong with it, with real keys and signatures."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import RSAAlgorithm

from holdpoint.errors import BadToken, UnknownKeyId
from holdpoint.policy.issuers import USUAL_ALGORITHMS, Algorithm
from holdpoint.tokens.keys import Key, usable_keys
from holdpoint.tokens.verify import MOST_CHARACTERS, SKEW_MS, addressed, claims_of, looks_like_token
from tests.holdpoint.tokens.issuing import AUDIENCE, ISSUER, Json, claims, jwk, private_key, signed

NOW_MS = 1_900_000_000_000
KEYS = usable_keys([jwk("k1"), jwk("k2"), jwk("p256 a"), jwk("ed a")])
ALL = frozenset(Algorithm)
RIGHT = signed(claims(NOW_MS))


def verify(
    token: str,
    keys: tuple[Key, ...] = KEYS,
    *,
    algorithms: frozenset[Algorithm] = USUAL_ALGORITHMS,
    now_ms: int = NOW_MS,
    audiences: tuple[str, ...] = (AUDIENCE,),
) -> Any:
    return claims_of(token, keys, issuer=ISSUER, audiences=audiences, algorithms=algorithms, now_ms=now_ms)


def said(**changes: Any) -> Json:
    return claims(NOW_MS, **changes)


def b64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def hmac_signed(secret: bytes, **head: Any) -> str:
    """A token whose "signature" is an HMAC over what everybody knows: the confusion of RS256 with HS256."""
    signing = f"{b64(json.dumps({'alg': 'HS256', 'kid': 'k1', **head}).encode())}.{b64(json.dumps(said()).encode())}"
    return f"{signing}.{b64(hmac.digest(secret, signing.encode(), hashlib.sha256))}"


def public_pem(name: str) -> bytes:
    return private_key(name).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def headed(head: bytes) -> str:
    """A token with this head, and nothing else that is right."""
    return f"{b64(head)}.e30.x"


def changed(token: str, **claims: Any) -> str:
    head, _, signature = token.split(".")
    return f"{head}.{b64(json.dumps(said(**claims)).encode())}.{signature}"


def unsigned(alg: str, signature: str = "") -> str:
    return f"{b64(json.dumps({'alg': alg, 'kid': 'k1'}).encode())}.{b64(json.dumps(said()).encode())}.{signature}"


@pytest.mark.parametrize(
    ("key", "alg", "head"),
    [
        ("k1", "RS256", {}),
        ("k2", "RS256", {}),
        ("k1", "PS256", {}),
        ("p256 a", "ES256", {}),
        ("ed a", "EdDSA", {}),
        ("k1", "RS256", {"typ": "at+jwt"}),
        ("k1", "RS256", {"typ": "application/at+jwt"}),
        ("k1", "RS256", {"typ": "jwt"}),
        ("k1", "RS256", {"x5t": "x", "jku": "https://evil.test/keys", "nonce": "n"}),
        ("ed a", "EdDSA", {"kid": None}),  # no id, and one key of the type
    ],
)
def test_right_tokens(key: str, alg: str, head: Json) -> None:
    assert verify(signed(said(), key, alg=alg, head=head)) == said()


def forged(name: str, **more: Any) -> str:
    return signed(said(), "forger", head={"kid": name, **more})


WRONG: dict[str, Callable[[], str]] = {
    "alg none": lambda: unsigned("none"),
    "alg none, something as signature": lambda: unsigned("none", "x"),
    "alg NonE": lambda: unsigned("NonE", "x"),
    "no alg": lambda: headed(b"{}"),
    "HS256 with the public key as secret": lambda: hmac_signed(public_pem("k1")),
    "HS256 with the modulus as secret": lambda: hmac_signed(jwk("k1")["n"].encode()),
    "HS256 under the name RS256": lambda: hmac_signed(public_pem("k1"), alg="RS256"),
    "HS256 with nothing": lambda: hmac_signed(b""),
    "RS512, which is not allowed": lambda: signed(said(), alg="RS512"),
    "an RSA key's id with ES256": lambda: signed(said(), "p256 a", alg="ES256", head={"kid": "k1"}),
    "a curve's key id with RS256": lambda: signed(said(), "k1", head={"kid": "p256 a"}),
    "another's signature": lambda: forged("k1"),
    "its own key in the header": lambda: forged("k1", jwk=jwk("forger")),
    "its own key's address": lambda: forged("k1", jku="https://evil.test/keys", x5u="https://evil.test/x"),
    "other claims under a right signature": lambda: changed(signed(said()), email="kim@example.com"),
    "signature cut, of a curve": lambda: signed(said(), "p256 a", alg="ES256")[:-8],
    "signature cut, of Ed25519": lambda: signed(said(), "ed a", alg="EdDSA")[:-8],
    "signature of nothing, of a curve": lambda: signed(said(), "p256 a", alg="ES256").rpartition(".")[0] + "." + "A" * 86,
    "signature cut": lambda: signed(said())[:-8],
    "signature empty": lambda: signed(said()).rpartition(".")[0] + ".",
    "crit": lambda: signed(said(), head={"crit": ["exp"], "exp": 1}),
    "crit b64": lambda: signed(said(), head={"crit": ["b64"]}),
    "b64 false": lambda: signed(said(), head={"b64": False}),
    "kid is a number": lambda: headed(b'{"alg":"RS256","kid":5}'),
    "kid is a list": lambda: headed(b'{"alg":"RS256","kid":["k1"]}'),
    "alg is a list": lambda: headed(b'{"alg":["RS256"],"kid":"k1"}'),
    "a logout token": lambda: signed(said(), head={"typ": "logout+jwt"}),
    "a security event": lambda: signed(said(), head={"typ": "secevent+jwt"}),
    "a proof of possession": lambda: signed(said(), head={"typ": "dpop+jwt"}),
    "type is a number": lambda: headed(b'{"alg":"RS256","kid":"k1","typ":1}'),
    "encrypted": lambda: headed(b'{"alg":"RSA-OAEP","enc":"A128GCM"}') + ".b.c",
    "bound to a key": lambda: signed(said(cnf={"jkt": "x"})),
    "no issuer": lambda: signed(said(iss=None)),
    "other issuer": lambda: signed(said(iss="https://evil.test")),
    "issuer with a slash": lambda: signed(said(iss=f"{ISSUER}/")),
    "issuer in other case": lambda: signed(said(iss=ISSUER.upper())),
    "issuer is a list": lambda: signed(said(iss=[ISSUER])),
    "no audience": lambda: signed(said(aud=None)),
    "other audience": lambda: signed(said(aud="other")),
    "audience in other case": lambda: signed(said(aud="Holdpoint")),
    "audience is empty": lambda: signed(said(aud=[])),
    "audience is a mapping": lambda: signed(said(aud={AUDIENCE: 1})),
    "audiences, one no text": lambda: signed(said(aud=[AUDIENCE, 5])),
    "other audiences": lambda: signed(said(aud=["a", "b"])),
    "no end": lambda: signed(said(exp=None)),
    "end is text": lambda: signed(said(exp="4000000000")),
    "end is true": lambda: signed(said(exp=True)),
    "end is no number": lambda: signed(said(exp=float("nan"))),
    "end never": lambda: signed(said(exp=float("inf"))),
    "end far beyond": lambda: signed(json.dumps(said()).replace(str(NOW_MS // 1000 + 600), "1" + "0" * 400).encode()),
    "end is a list": lambda: signed(said(exp=[4_000_000_000])),
    "start is text": lambda: signed(said(nbf="0")),
    "start is true": lambda: signed(said(nbf=True)),
    "start never": lambda: signed(said(nbf=float("inf"))),
    "issued at a text": lambda: signed(said(iat="now")),
    "claims are a list": lambda: signed(b"[]"),
    "claims are text": lambda: signed(b'"x"'),
    "claims are no JSON": lambda: signed(b"{"),
    "claims are no UTF-8": lambda: signed(b'{"iss":"\xff"}'),
    "claims are too deep": lambda: signed(b'{"a":' * 1500 + b"1" + b"}" * 1500),
    "head too deep": lambda: headed(b"[" * 6000),
    "no token": lambda: "hp_abc",
    "two parts": lambda: "a.b",
    "four parts": lambda: "a.b.c.d",
    "white space inside": lambda: signed(said()).replace(".", ". ", 1),
    "a line behind": lambda: signed(said()) + "\n",
    "padding": lambda: signed(said()) + "==",
    "characters outside the alphabet": lambda: signed(said()).replace(".", ".!", 1),
    "other digits": lambda: "٣.٣.٣",
    "one letter": lambda: "a.a.a",
    "nothing": lambda: "..",
    "too long": lambda: signed(said(padding="x" * MOST_CHARACTERS)),
}  # fmt: skip


@pytest.mark.promise(5)
@pytest.mark.parametrize("name", WRONG)
def test_wrong_tokens(name: str) -> None:
    with pytest.raises(BadToken) as caught:
        verify(WRONG[name]())
    assert not isinstance(caught.value, UnknownKeyId), "nobody is asked for keys because of it"
    for secret in ("dana@example.com", "evil", "eyJ"):
        assert secret not in str(caught.value)


@pytest.mark.parametrize("alg", ["none", "HS256", "HS512", "ES256K", "RS1", "RSA1_5"])
def test_there_is_no_such_algorithm_to_choose(alg: str) -> None:
    assert alg not in list(Algorithm)


@pytest.mark.parametrize(
    ("name", "expires_s", "begins_s", "counts"),
    [
        ("valid to the last moment", -59.999, None, True),
        ("expired", -60, None, False),
        ("begins in a minute", 600, 60, True),
        ("begins later", 600, 60.001, False),
    ],
)
@pytest.mark.parametrize("start", ["nbf", "iat"])
def test_clocks_may_differ_by_a_minute(
    name: str, expires_s: float, begins_s: float | None, counts: bool, start: str
) -> None:
    now = NOW_MS / 1000
    token = signed(said(exp=now + expires_s, **({start: now + begins_s} if begins_s is not None else {})))
    if counts:
        assert verify(token)
    else:
        with pytest.raises(BadToken):
            verify(token)
    assert SKEW_MS == 60_000


@pytest.mark.parametrize("aud", [AUDIENCE, [AUDIENCE], ["other", AUDIENCE], ["second"]])
def test_one_of_several_audiences(aud: object) -> None:
    assert verify(signed(said(aud=aud)), audiences=(AUDIENCE, "second"))


@pytest.mark.parametrize(
    ("keys", "kid", "counts"),
    [
        ([jwk("k1", kid=None)], None, True),  # as oidc-provider-mock has it
        ([jwk("k1", kid=None)], "anything", True),
        ([jwk("k1")], None, True),
        ([jwk("k2", kid=None)], None, False),  # another key: it may have been exchanged
        ([jwk("k2", kid=None)], "k1", False),
        ([jwk("k2")], None, False),
        ([jwk("k1"), jwk("k2")], None, False),  # which of them?
        ([jwk("k1", kid=None), jwk("k2", kid=None)], None, False),
        ([jwk("k1", kid=None), jwk("p256 a", kid=None)], None, True),
        ([jwk("k2")], "k1", False),
        ([jwk("k2"), jwk("k1", kid=None)], "k1", True),
        ([], "k1", False),
        ([jwk("k2", kid="k1"), jwk("k1")], "k1", True),  # an id twice
    ],
)
def test_which_key(keys: list[Json], kid: str | None, counts: bool) -> None:
    token = signed(said(), head={"kid": kid})
    if counts:
        assert verify(token, usable_keys(keys))
    else:
        with pytest.raises(UnknownKeyId):
            verify(token, usable_keys(keys))


@pytest.mark.parametrize(
    "key",
    [
        jwk("weak"), jwk("k256"), jwk("k1", use="enc"), jwk("k1", key_ops=["encrypt"]), jwk("k1", key_ops="verify"),
        jwk("k1", alg="RSA-OAEP"), jwk("k1", alg="HS256"), jwk("k1", alg=5), jwk("k1", kid=""), jwk("k1", kid=5),
        jwk("k1", kid="x" * 300), jwk("k1", d="AQAB"), jwk("k1", n=None), jwk("k1", n="!"), jwk("k1", e="AA"),
        jwk("k1", kty="oct", k="AQAB"), jwk("k1", kty=None), jwk("k1", kty=["RSA"]), jwk("p256 a", crv="P-384"),
        jwk("p256 a", crv=None), jwk("p256 a", x="AA"), jwk("ed a", crv="X25519"), {"kty": "oct", "k": "c2VjcmV0"},
        {}, None, 5, "RSA", [],
    ],
)  # fmt: skip
def test_keys_that_are_not_for_us(key: object) -> None:
    assert not usable_keys([key])
    assert [each.kid for each in usable_keys([key, jwk("k2")])] == ["k2"], "the others count"


def test_a_private_key_that_was_published_is_none_of_theirs() -> None:
    published = json.loads(RSAAlgorithm.to_jwk(private_key("k1"))) | {"kid": "k1", "key_ops": ["verify"]}
    assert "d" in published
    assert not usable_keys([published])


@pytest.mark.parametrize("keys", [None, {}, "keys", 5, {"keys": [jwk("k1")]}])
def test_no_list_of_keys(keys: object) -> None:
    assert usable_keys(keys) == ()


@pytest.mark.parametrize(("alg", "counts"), [("RS256", True), ("PS256", False), ("RS512", False)])
def test_a_key_that_names_its_algorithm_is_for_no_other(alg: str, counts: bool) -> None:
    keys = usable_keys([jwk("k1", alg="RS256")])
    token = signed(said(), alg=alg)
    if counts:
        assert verify(token, keys, algorithms=ALL)
    else:
        with pytest.raises(BadToken):
            verify(token, keys, algorithms=ALL)


def test_a_pinned_algorithm_is_the_only_one() -> None:
    pinned = frozenset({Algorithm.ES256})
    assert verify(signed(said(), "p256 a", alg="ES256"), algorithms=pinned)
    with pytest.raises(BadToken):
        verify(signed(said()), algorithms=pinned)


@pytest.mark.promise(5)
@given(place=st.integers(0, 600), letter=st.characters(max_codepoint=0x2FF))
def test_no_letter_of_a_token_can_be_changed(place: int, letter: str) -> None:
    token = RIGHT
    place %= len(token)
    try:
        found = verify(token[:place] + letter + token[place + 1 :])
    except BadToken:
        return
    assert found == said(), "the last letter of a part has bits that mean nothing"


@given(st.text() | st.lists(st.text(alphabet="abAB09-_.=", max_size=50), max_size=4).map(".".join))
def test_whatever_is_no_token_is_refused_and_nothing_else(text: str) -> None:
    with pytest.raises(BadToken):
        verify(text)
    with pytest.raises(BadToken):
        addressed(text)


def test_whom_a_token_says_to_be_of() -> None:
    found = addressed(signed(said(aud=["a", "b"]), "forger"))
    assert (found.issuer, found.audiences) == (ISSUER, {"a", "b"})
    for token in ("a.b.c", signed(b"[]"), signed(said(iss=None)), signed(said(iss=[ISSUER])), "x" * 20_000):
        with pytest.raises(BadToken):
            addressed(token)


def test_a_key_is_no_token() -> None:
    assert looks_like_token(signed(said()))
    assert not looks_like_token("hp_abcdefgh_secret")
