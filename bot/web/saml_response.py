"""What an identity provider posts after a sign-in by SAML 2.0 → who it names. Pure.

After SAML 2.0 Core (2 and 3), Profiles (4.1.4.2 and 4.1.4.3) and the Security Considerations.

1. it is one Response of success with one Assertion in it, that is not encrypted (`bot.web.saml_xml` bounds the XML itself)
2. the Response, or the Assertion in it, is signed by one of the provider's certificates: this very element, and no copy
3. the Response is for our address, and answers our request
4. the Assertion is the provider's, for us, valid now, and its bearer may bring it to our address in answer to our request,
   for a day at most
5. it says when the person showed who they are
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from bot.web.saml_xml import SIGNATURE, Element, parsed, text_of, verified
from holdpoint.errors import BadToken

SKEW_MS = 60_000
LONGEST_VALID_MS = 24 * 3_600_000  # so long, at most, it has to be remembered that it was used
_ASSERTION = "urn:oasis:names:tc:SAML:2.0:assertion"
_PROTOCOL = "urn:oasis:names:tc:SAML:2.0:protocol"
_SUCCESS = "urn:oasis:names:tc:SAML:2.0:status:Success"
_BEARER = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
_NAMES = {"a": _ASSERTION, "p": _PROTOCOL}
_RESPONSE_TAG = f"{{{_PROTOCOL}}}Response"
_CONDITIONS = frozenset(f"{{{_ASSERTION}}}{name}" for name in ("AudienceRestriction", "OneTimeUse", "ProxyRestriction"))


@dataclass(frozen=True, slots=True)
class Expected:
    """What the response has to say. ``request`` is the ID of our request, ``acs_url`` where the response is posted to."""

    issuer: str
    audience: str
    acs_url: str
    request: str


@dataclass(frozen=True, slots=True)
class Assertion:
    """Who is named. ``id`` is unique for ever; ``attributes`` go by their names. Times are in ms.

    ``ends_ms`` is when nobody can bring it here any more, ``until_ms`` when every session has to end, 0: it does not say.
    """

    id: str
    name_id: str
    attributes: Mapping[str, Sequence[str]]
    auth_ms: int
    method: str  # the class of the authentication's context
    ends_ms: int
    until_ms: int


def read(text: str, certificates: Sequence[str], expected: Expected, *, now_ms: int) -> Assertion:
    """The assertion of a posted ``SAMLResponse``. ``certificates`` are PEM.

    Raises:
        BadToken: it is not to be believed, and why, for the log.
    """
    response = parsed(text)
    _check_kind(response)
    signed = _signed(response, certificates, now_ms)
    if signed.tag == _RESPONSE_TAG:
        _check_response(signed, expected, is_signed=True)
        return _read(_one(signed, "a:Assertion"), expected, now_ms)
    _check_response(response, expected, is_signed=False)
    return _read(signed, expected, now_ms)


def _check_kind(root: Element) -> None:
    """Step 1."""
    if root.tag != _RESPONSE_TAG:
        raise BadToken("what was posted is no response")
    status = root.find("p:Status/p:StatusCode", _NAMES)
    if status is None or status.get("Value") != _SUCCESS:
        raise BadToken("the provider did not sign the person in")
    # Wherever else one stands, it is there to be taken for the signed one.
    if len(root.findall(".//a:Assertion", _NAMES)) != 1 or root.find("a:Assertion", _NAMES) is None:
        raise BadToken("the response has not exactly one assertion that can be read: encrypted ones cannot")


def _signed(response: Element, certificates: Sequence[str], now_ms: int) -> Element:
    """Step 2: the response, or its assertion, as it was signed."""
    whole = response.find(SIGNATURE) is not None
    meant = response if whole else response.find("a:Assertion", _NAMES)
    place = "./" if whole else f"./{{{_ASSERTION}}}Assertion/"
    signed = verified(response, place, certificates, now_ms=now_ms)
    if (signed.tag, signed.get("ID")) != (meant.tag, meant.get("ID")):
        raise BadToken("something else is signed than the response or its assertion")
    return signed


def _check_response(response: Element, expected: Expected, *, is_signed: bool) -> None:
    """Step 3. What is not signed here is said once more in the assertion."""
    destination = response.get("Destination")
    if destination != expected.acs_url and (destination is not None or is_signed):  # Bindings 3.5.5.2
        raise BadToken("the response is for another address")
    if response.get("InResponseTo") != expected.request:
        raise BadToken("the response answers another request, or none")
    issuer = response.find("a:Issuer", _NAMES)
    if issuer is not None and text_of(issuer) != expected.issuer:
        raise BadToken("the response is another provider's")


def _read(assertion: Element, expected: Expected, now_ms: int) -> Assertion:
    """Steps 4 and 5."""
    if text_of(_one(assertion, "a:Issuer")) != expected.issuer:
        raise BadToken("the assertion is another provider's")
    conditions, subject = _one(assertion, "a:Conditions"), _one(assertion, "a:Subject")
    _check_conditions(conditions, expected, now_ms)
    statement = _one(assertion, "a:AuthnStatement")
    auth_ms, until_ms = _moment(statement, "AuthnInstant"), _moment(statement, "SessionNotOnOrAfter")
    if auth_ms is None or auth_ms > now_ms + SKEW_MS:
        raise BadToken("the assertion does not say when the person signed in")
    if until_ms is not None and until_ms <= now_ms:
        raise BadToken("the person's session at the provider is over")
    found_id, name_id = assertion.get("ID", ""), text_of(_one(subject, "a:NameID"))
    if not (found_id and name_id):
        raise BadToken("the assertion has no id, or names nobody")
    context = statement.find("a:AuthnContext/a:AuthnContextClassRef", _NAMES)
    return Assertion(
        id=found_id,
        name_id=name_id,
        attributes=_attributes(assertion),
        auth_ms=auth_ms,
        method=text_of(context) if context is not None else "",
        ends_ms=_end(conditions, subject, expected, now_ms),
        until_ms=until_ms or 0,
    )


def _attributes(assertion: Element) -> Mapping[str, Sequence[str]]:
    found: dict[str, list[str]] = {}
    for attribute in assertion.findall("a:AttributeStatement/a:Attribute", _NAMES):
        values = [text_of(value) for value in attribute.findall("a:AttributeValue", _NAMES)]
        found.setdefault(attribute.get("Name", ""), []).extend(values)
    return found


def _check_conditions(conditions: Element, expected: Expected, now_ms: int) -> None:
    if not _is_current(conditions, now_ms):
        raise BadToken("the assertion is not valid now")
    if any(each.tag not in _CONDITIONS for each in conditions):  # Core 2.5.1.1: what is not understood is not met
        raise BadToken("the assertion has a condition that nobody here understands")
    restrictions = conditions.findall("a:AudienceRestriction", _NAMES)
    audiences = [{text_of(each) for each in one.findall("a:Audience", _NAMES)} for one in restrictions]
    if not audiences or any(expected.audience not in each for each in audiences):
        raise BadToken("the assertion is for another audience")


def _end(conditions: Element, subject: Element, expected: Expected, now_ms: int) -> int:
    """When the assertion cannot be brought here any more. Raises BadToken when it cannot now, or can be for too long."""
    confirmations = subject.findall("a:SubjectConfirmation", _NAMES)
    ends = [end for each in confirmations if (end := _confirmed_until(each, expected, now_ms)) is not None]
    if not ends:
        raise BadToken("nobody may bring this assertion here, now, in answer to this request")
    last, bound = max(ends), _moment(conditions, "NotOnOrAfter")
    end = (last if bound is None else min(last, bound)) + SKEW_MS
    if end > now_ms + LONGEST_VALID_MS + 2 * SKEW_MS:
        raise BadToken("the assertion is valid for more than a day")
    return end


def _confirmed_until(confirmation: Element, expected: Expected, now_ms: int) -> int | None:
    """Until when the bearer may bring it to us; None: not now, or not to us, or not as an answer to this request."""
    data = confirmation.find("a:SubjectConfirmationData", _NAMES)
    if (
        confirmation.get("Method") != _BEARER
        or data is None
        or data.get("Recipient") != expected.acs_url
        or data.get("InResponseTo") != expected.request
        or data.get("NotBefore") is not None
        or not _is_current(data, now_ms)
    ):
        return None
    return _moment(data, "NotOnOrAfter")


def _is_current(element: Element, now_ms: int) -> bool:
    begins, ends = _moment(element, "NotBefore"), _moment(element, "NotOnOrAfter")
    return (begins is None or begins <= now_ms + SKEW_MS) and (ends is None or now_ms < ends + SKEW_MS)


def _moment(element: Element, name: str) -> int | None:
    text = element.get(name)
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise BadToken(f"{name} is no time") from None
    if found.tzinfo is None:
        raise BadToken(f"{name} has no time zone")
    return int(found.timestamp() * 1000)


def _one(element: Element, path: str) -> Element:
    found = element.findall(path, _NAMES)
    if len(found) != 1:
        raise BadToken(f"there is not exactly one {path.partition(':')[2]}")
    return found[0]
