"""What a provider posts by SAML: what counts, and whatever is wrong does not."""

from __future__ import annotations

import base64
import random
import time
from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy

import pytest

pytest.importorskip("signxml", reason="no signxml: pip install 'holdpoint[saml]'")

from lxml import etree
from signxml.algorithms import DigestAlgorithm, SignatureMethod

from bot.web.saml_response import Assertion, Expected, read
from holdpoint.clock import now_ms
from holdpoint.errors import BadToken
from tests.support.saml import ASSERTION, NAMES, PASSWORD, Asked, Idp, key_pair, packed, stamp
from tests.support.saml_attacks import WRAPPED, Element, in_assertion, in_response

NOW = now_ms()
HOUR = 3_600_000
ASKED = Asked("r0123", "https://hold.example.com/acs", "https://hold.example.com/metadata", "state", "")
OTHER = "https://evil.example.com"


def make(**changes: object) -> Idp:
    return Idp(clock=lambda: NOW, **changes)  # type: ignore[arg-type]


def believed(text: str, idp: Idp, *more: str, now: int = NOW) -> Assertion:
    expected = Expected(idp.entity_id, ASKED.audience, ASKED.acs_url, ASKED.id)
    return read(text, [*more, idp.pair.certificate], expected, now_ms=now)


def post(idp: Idp) -> str:
    return packed(idp.response(ASKED))


def found(root: Element, path: str) -> Element:
    return next(iter(root.findall(path, NAMES)))


def without(path: str, attribute: str = "") -> Callable[[Element], None]:
    """An edit that takes an element away, or an attribute of it."""

    def edit(root: Element) -> None:
        element = found(root, path)
        if attribute:
            del element.attrib[attribute]
        else:
            element.getparent().remove(element)

    return edit


def twice(path: str) -> Callable[[Element], None]:
    return lambda root: found(root, path).addnext(deepcopy(found(root, path)))


def with_set(path: str, attribute: str, value: str) -> Callable[[Element], None]:
    return lambda root: found(root, path).set(attribute, value)


@pytest.mark.parametrize("signs", [("assertion",), ("response",), ("assertion", "response")], ids=" and ".join)
def test_what_counts(signs: tuple[str, ...]) -> None:
    later = stamp(NOW + HOUR)
    idp = make(signs=signs, attributes={"groups": ["law", "sec"], "mail": ["s@example.com"]})
    idp.says = {"session": f' SessionNotOnOrAfter="{later}"', "auth": stamp(NOW - HOUR)}
    assert believed(post(idp), idp) == Assertion(
        id=f"_a1-{NOW}", name_id="sam@example.com", attributes={"groups": ["law", "sec"], "mail": ["s@example.com"]},
        auth_ms=NOW - HOUR, method=PASSWORD, ends_ms=NOW + 360_000, until_ms=NOW + HOUR,
    )  # fmt: skip


TAKEN = {
    "SHA-512": {"method": SignatureMethod.RSA_SHA512, "digest": DigestAlgorithm.SHA512},
    "RSA-PSS": {"method": SignatureMethod.SHA256_RSA_MGF1},
    "inclusive canonical XML": {"c14n": "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"},
    "no destination where the response is not signed": {"edits": without(".", "Destination")},
    "no issuer of the response": {"edits": without("a:Issuer")},
    "conditions without an end": {"edits": without("a:Assertion/a:Conditions", "NotOnOrAfter")},
    "an end of the conditions bounds the bearer's": {"says": {"confirmed": stamp(NOW + 99 * 24 * HOUR)}},
    "an address for somebody else beside ours": {
        "edits": lambda root: (
            twice(".//a:SubjectConfirmation")(root),
            found(root, ".//a:SubjectConfirmationData").set("Recipient", OTHER),
        )
    },
    "one use": {"edits": lambda root: etree.SubElement(found(root, ".//a:Conditions"), f"{{{ASSERTION}}}OneTimeUse")},
    "a day long": {"says": {"ends": stamp(NOW + 24 * HOUR), "confirmed": stamp(NOW + 24 * HOUR)}},
    "clocks that differ by almost a minute": {"says": {"begins": stamp(NOW + 59_000), "auth": stamp(NOW + 59_000)}},
    "a minute ago": {"says": {"ends": stamp(NOW - 59_000), "confirmed": stamp(NOW - 59_000)}},
}


@pytest.mark.parametrize("change", TAKEN.values(), ids=TAKEN)
def test_what_counts_too(change: dict[str, object]) -> None:
    idp = make(**change)
    assert believed(post(idp), idp).name_id == "sam@example.com"


def test_lines_of_base64() -> None:
    idp = make()
    text = post(idp)
    assert believed("\r\n".join(text[at : at + 76] for at in range(0, len(text), 76)), idp).name_id


def test_two_certificates_while_a_provider_changes_its_key() -> None:
    idp = make()
    for other in (key_pair("next").certificate, key_pair("over", ends=-1).certificate, "-----no certificate-----"):
        assert believed(post(idp), idp, other).name_id == "sam@example.com"


def test_what_a_signature_says_of_keys_counts_for_nothing() -> None:
    """``KeyInfo`` is not signed, so anybody may have put there what they like."""
    space = "http://www.w3.org/2000/09/xmldsig#"
    other = "".join(f"<{each}>AAAA</{each}>" for each in ("P", "Q", "G", "Y"))
    key_info = f'<KeyInfo xmlns="{space}"><KeyValue><DSAKeyValue>{other}</DSAKeyValue></KeyValue></KeyInfo>'
    certificate = "".join(key_pair("mallory").certificate.splitlines()[1:-1])
    theirs = f'<KeyInfo xmlns="{space}"><X509Data><X509Certificate>{certificate}</X509Certificate></X509Data></KeyInfo>'
    for info in (key_info, theirs):
        idp = make(forges=lambda root, info=info: put(root, ".//ds:KeyInfo", info))
        assert believed(post(idp), idp).name_id == "sam@example.com"
    idp = make(pair=key_pair("mallory"))
    with pytest.raises(BadToken, match="not signed"):
        believed(post(idp), make())


def put(root: Element, path: str, xml: str) -> None:
    old = found(root, path)
    old.getparent().replace(old, etree.fromstring(xml))


def test_a_certificates_time_goes_by_the_clock_that_is_given() -> None:
    year = 366 * 24 * HOUR
    idp = Idp(clock=lambda: NOW + year)
    with pytest.raises(BadToken, match="not signed"):
        believed(post(idp), idp, now=NOW + year)


@pytest.mark.parametrize("c14n", ["", "WithComments"])
@pytest.mark.parametrize("when", ["before it is signed", "afterwards"])
def test_a_comment_parts_no_text(c14n: str, when: str) -> None:
    """``dana@example.com<!---->.evil.test`` is what its owner may register at some providers."""

    def comment(root: Element) -> None:
        name = found(root, ".//a:NameID")
        whole, name.text = name.text, "dana@example.com"
        mark = etree.Comment("")
        name.append(mark)
        mark.tail = whole.removeprefix("dana@example.com")

    idp = make(says={"name_id": "dana@example.com.evil.test"}, c14n="http://www.w3.org/2001/10/xml-exc-c14n#" + c14n)
    setattr(idp, "edits" if when == "before it is signed" else "forges", comment)
    try:
        assert believed(post(idp), idp).name_id == "dana@example.com.evil.test"
    except BadToken:
        assert c14n, "a signature over comments cannot count without them"


Lie = Callable[[], tuple[str, Idp]]


def lie(**changes: object) -> Lie:
    """A response of a provider with these changes."""

    def made() -> tuple[str, Idp]:
        idp = make(**changes)
        return post(idp), idp

    return made


def say(**said: str) -> Lie:
    return lie(says=said)


def edited(edit: Callable[[Element], object], **more: object) -> Lie:
    return lie(edits=edit, **more)


def forged(forge: Callable[[Element], object], **more: object) -> Lie:
    return lie(forges=forge, **more)


def raw(change: Callable[[bytes], bytes]) -> Lie:
    def made() -> tuple[str, Idp]:
        idp = make()
        return packed(change(etree.tostring(idp.response(ASKED)))), idp

    return made


def by(pair: str, **more: int) -> Lie:
    """Signed by another key than the one of the policy, or by one whose certificate is not valid now."""

    def made() -> tuple[str, Idp]:
        idp = make(pair=key_pair(pair, **more))
        text = post(idp)
        return text, idp if more else make()

    return made


def wrapped(name: str) -> Lie:
    signs, attack = WRAPPED[name]

    def made() -> tuple[str, Idp]:
        idp = make(signs=(signs,))
        return packed(attack(idp.response(ASKED))), idp

    return made


def published(attack: Callable[[Element, Idp], Element]) -> Lie:
    def made() -> tuple[str, Idp]:
        idp = make()
        return packed(attack(idp.response(ASKED), idp)), idp

    return made


def encrypted(root: Element) -> None:
    assertion = found(root, "a:Assertion")
    box = etree.SubElement(root, f"{{{ASSERTION}}}EncryptedAssertion")
    etree.SubElement(box, "{http://www.w3.org/2001/04/xmlenc#}EncryptedData").text = "AAAA"
    root.remove(assertion)


def elsewhere(root: Element) -> None:
    box = etree.SubElement(root, "{urn:oasis:names:tc:SAML:2.0:protocol}Extensions")
    box.append(found(root, "a:Assertion"))


LAUGHS = b'<!DOCTYPE r [<!ENTITY e0 "lol">%s]>' % b"".join(
    b'<!ENTITY e%d "%s">' % (each, b"&e%d;" % (each - 1) * 10) for each in range(1, 10)
)
DATA, CONDITIONS, STATEMENT = ".//a:SubjectConfirmationData", ".//a:Conditions", ".//a:AuthnStatement"
NAMESPACES = "".join(f'xmlns:n{each}="urn:{each}" ' for each in range(4_000)).encode()
BOTH = ("response",)

LIES: dict[str, tuple[Lie, str]] = {
    "unsigned": (lie(signs=()), "not signed"),
    "another key": (by("mallory"), "not signed"),
    "a certificate that is over": (by("over", ends=-1), "not signed"),
    "a certificate that is not valid yet": (by("soon", begins=1), "not signed"),
    "SHA-1": (lie(method=SignatureMethod.RSA_SHA1), "not signed"),
    "a digest by SHA-1": (lie(digest=DigestAlgorithm.SHA1), "not signed"),
    "SHA-224": (lie(method=SignatureMethod.RSA_SHA224), "not signed"),
    "changed afterwards": (
        forged(lambda root: setattr(found(root, ".//a:NameID"), "text", "ada@example.com")), "not signed",
    ),
    "changed afterwards, signed as a whole": (
        forged(lambda root: setattr(found(root, ".//a:NameID"), "text", "ada@example.com"), signs=BOTH), "not signed",
    ),
    "an instruction in the signed part": (
        edited(lambda root: found(root, ".//a:NameID").append(etree.PI("x"))), "not signed",
    ),
    "a signature that is elsewhere": (
        forged(lambda root: found(root, "p:Status").append(found(root, ".//ds:Signature"))), "not signed",
    ),
    "an empty signature": (forged(lambda root: setattr(found(root, ".//ds:SignatureValue"), "text", None)), "not signed"),
    "an unknown way to sign": (
        forged(with_set(".//ds:SignatureMethod", "Algorithm", "urn:x")), "not signed",
    ),
    "signed with a secret": (
        forged(with_set(".//ds:SignatureMethod", "Algorithm", SignatureMethod.HMAC_SHA256.value)), "not signed",
    ),
    "signed as a whole, then only its assertion": (forged(without("ds:Signature"), signs=BOTH), "not signed"),
    **{name: (wrapped(name), "exactly one assertion") for name in WRAPPED},
    "the metadata's signature on an assertion": (published(in_assertion), "something else is signed"),
    "the metadata's signature on a response": (published(in_response), "something else is signed"),
    "two assertions": (edited(twice("a:Assertion")), "exactly one assertion"),
    "an encrypted assertion": (edited(encrypted, signs=BOTH), "exactly one assertion"),
    "no assertion": (edited(without("a:Assertion"), signs=BOTH), "exactly one assertion"),
    **{
        f"an assertion that is elsewhere, signed: {signs[0]}": (forged(elsewhere, signs=signs), "exactly one assertion")
        for signs in (("assertion",), BOTH)
    },
    "another issuer": (say(issuer=OTHER), "another provider's"),
    "another issuer of the assertion": (edited(lambda root: setattr(found(root, "a:Assertion/a:Issuer"), "text", OTHER)), "another provider's"),
    "another issuer of the response": (forged(lambda root: setattr(found(root, "a:Issuer"), "text", OTHER)), "another provider's"),
    "no issuer of the assertion": (edited(without("a:Assertion/a:Issuer")), "exactly one Issuer"),
    "another audience": (say(audience=OTHER), "another audience"),
    "an audience that only begins like ours": (say(audience=ASKED.audience + "/x"), "another audience"),
    "no audience": (edited(without(".//a:AudienceRestriction")), "another audience"),
    "two audiences that have to be met": (
        edited(lambda root: (twice(".//a:AudienceRestriction")(root), setattr(found(root, ".//a:Audience"), "text", OTHER))),
        "another audience",
    ),
    "another destination": (say(destination=OTHER), "another address"),
    "no destination of a signed response": (edited(without(".", "Destination"), signs=BOTH), "another address"),
    "another recipient": (say(recipient=OTHER), "nobody may bring"),
    "an answer to another request": (say(request="r-another"), "another request"),
    "unsolicited": (edited(without(".", "InResponseTo")), "or none"),
    "an assertion for another request": (edited(with_set(DATA, "InResponseTo", "r-another")), "nobody may bring"),
    "no conditions": (edited(without(CONDITIONS)), "exactly one Conditions"),
    "a condition that nobody understands": (
        edited(lambda root: etree.SubElement(found(root, CONDITIONS), f"{{{ASSERTION}}}Condition")), "understands",
    ),
    "over": (say(ends=stamp(NOW - 60_000)), "not valid now"),
    "not begun": (say(begins=stamp(NOW + 61_000)), "not valid now"),
    "the bearer's time is over": (say(confirmed=stamp(NOW - 60_000)), "nobody may bring"),
    "the bearer's time has not begun": (edited(with_set(DATA, "NotBefore", stamp(NOW - 1_000))), "nobody may bring"),
    "valid for more than a day": (say(ends=stamp(NOW + 25 * HOUR), confirmed=stamp(NOW + 25 * HOUR)), "more than a day"),
    "valid for ever": (
        edited(without(CONDITIONS, "NotOnOrAfter"), says={"confirmed": "9999-12-31T23:59:59Z"}), "more than a day",
    ),
    **{
        f"no {name} for the bearer": (edited(without(DATA, name)), "nobody may bring")
        for name in ("Recipient", "InResponseTo", "NotOnOrAfter")
    },
    "nothing about the bearer": (edited(without(DATA)), "nobody may bring"),
    "no bearer": (edited(without(".//a:SubjectConfirmation")), "nobody may bring"),
    "the holder of a key": (say(confirmation="urn:oasis:names:tc:SAML:2.0:cm:holder-of-key"), "nobody may bring"),
    "no subject": (edited(without(".//a:Subject")), "exactly one Subject"),
    "no name": (edited(without(".//a:NameID")), "exactly one NameID"),
    "two names": (edited(twice(".//a:NameID")), "exactly one NameID"),
    "an empty name": (say(name_id=" "), "names nobody"),
    "no id": (edited(without("a:Assertion", "ID"), signs=BOTH), "no id"),
    "no statement": (edited(without(STATEMENT)), "exactly one AuthnStatement"),
    "no time of signing in": (edited(without(STATEMENT, "AuthnInstant")), "when the person signed in"),
    "signed in tomorrow": (say(auth=stamp(NOW + 61_000)), "when the person signed in"),
    "a session that is over": (say(session=f' SessionNotOnOrAfter="{stamp(NOW)}"'), "session at the provider is over"),
    **{
        f"a time like {value!r}": (say(auth=value), "AuthnInstant")
        for value in ("", "now", "2026-01-01", "2026-01-01T00:00:00", "2026-13-01T00:00:00Z", "１２３", "1e9", "9" * 99)
    },
    "the provider says no": (say(status="urn:oasis:names:tc:SAML:2.0:status:Responder"), "did not sign"),
    "no status": (edited(without("p:Status")), "did not sign"),
    "another document": (lambda: (packed(b"<x/>"), make()), "no response"),
    "a request": (raw(lambda xml: xml.replace(b"p:Response", b"p:AuthnRequest")), "no response"),
    "a document type": (raw(lambda xml: b"<!DOCTYPE Response>" + xml), "document type"),
    "an external document type": (raw(lambda xml: b'<!DOCTYPE r SYSTEM "file:///etc/passwd">' + xml), "document type"),
    "an entity": (raw(lambda xml: b'<!DOCTYPE r [<!ENTITY e "x">]>' + xml.replace(b"sam@", b"&e;@")), "document type"),
    "a document type in UTF-16": (
        raw(lambda xml: ('<?xml version="1.0" encoding="UTF-16"?><!DOCTYPE r>' + xml.decode()).encode("utf-16")), "document type",
    ),
    "an external entity": (
        raw(lambda xml: b'<!DOCTYPE r [<!ENTITY e SYSTEM "file:///etc/passwd">]>' + xml.replace(b"sam@", b"&e;@")), "document type",
    ),
    "a billion laughs": (raw(lambda xml: LAUGHS + xml.replace(b"sam@", b"&e9;@")), "no XML"),
    "a billion laughs in an attribute": (raw(lambda xml: LAUGHS + xml.replace(b'ID="', b'x="&e9;" ID="', 1)), "no XML"),
    "no base64": (lambda: ("%%%", make()), "no XML"),
    "base64 with something between": (lambda: ("*" + post(make()), make()), "no XML"),
    "other letters": (lambda: ("é", make()), "no XML"),
    "nothing": (lambda: ("", make()), "no XML"),
    "no XML": (lambda: (packed(b"\x00\xff{}"), make()), "no XML"),
    "unfinished": (raw(lambda xml: xml[:-5]), "no XML"),
    "deep": (lambda: (packed(b"<a>" * 5_000 + b"</a>" * 5_000), make()), "no XML"),
    "huge": (lambda: (base64.b64encode(b"<a>" + b"x" * 200_000 + b"</a>").decode(), make()), "too large"),
    "many namespaces": (raw(lambda xml: xml.replace(b"<p:Response ", b"<p:Response " + NAMESPACES)), "too many namespaces"),
    "many namespaces, a few at each place": (
        lambda: (packed(b"".join(b'<x xmlns:n%d="urn:x">' % each for each in range(100)) + b"</x>" * 100), make()), "too many namespaces",
    ),
    "many attributes": (
        raw(lambda xml: xml.replace(b"<p:Response ", b"<p:Response " + b" ".join(b'a%d=""' % each for each in range(65)) + b" ")),
        "too many attributes",
    ),
    "many elements": (
        forged(lambda root: [etree.SubElement(found(root, "p:Status"), "x") for _ in range(5_000)]), "too many elements",
    ),
    "many prefixes": (
        forged(with_set(".//ds:CanonicalizationMethod", "x", "n " * 3_000)), "too many attributes",
    ),
    "many steps to a signature": (
        forged(lambda root: [twice(".//ds:Transform")(root) for _ in range(130)]), "too large a signature",
    ),
}  # fmt: skip


@pytest.mark.promise(5)
@pytest.mark.parametrize(("make_it", "why"), LIES.values(), ids=LIES)
def test_whatever_is_wrong_in_a_response_it_counts_for_nothing(make_it: Lie, why: str) -> None:
    text, idp = make_it()
    with pytest.raises(BadToken, match=why) as caught:
        believed(text, idp)
    assert not any(said in str(caught.value) for said in ("example.com", "evil", "passwd", "r-another"))


def test_somebody_in_many_groups() -> None:
    idp = make(attributes={"groups": [f"group {number}" for number in range(2_000)]})
    assert len(believed(post(idp), idp).attributes["groups"]) == 2_000


def test_nothing_keeps_the_bot_busy() -> None:
    """Canonical XML of 4000 namespaces on 10000 elements takes minutes; whoever posts that is refused at once."""
    root = b"<p:Response xmlns:p='urn:oasis:names:tc:SAML:2.0:protocol' " + NAMESPACES + b">"
    text = packed(root + b"<n1:x/>" * 10_000 + b"</p:Response>")
    begun = time.process_time()
    with pytest.raises(BadToken):
        believed(text, make())
    assert time.process_time() - begun < 2


def test_no_bytes_that_anybody_may_post_are_more_than_refused() -> None:
    """A fixed walk over damaged responses: nothing but BadToken is raised, and nobody but Sam is ever named."""
    chance, idp = random.Random(5), make(attributes={"groups": ["law"]}, signs=("assertion", "response"))
    whole = etree.tostring(idp.response(ASKED))
    pieces = [b"", b"<", b">", b"<x/>", b"&lt;", b"ada@example.com", b"<!---->", b'"', b" ", b"\x00", b"urn:x", b"AAAA"]
    refused = 0
    for _ in range(600):
        damaged = whole
        for _ in range(chance.randint(1, 3)):
            at, length = chance.randrange(len(damaged)), chance.choice((0, 0, 1, 5, 40))
            damaged = damaged[:at] + chance.choice(pieces) + damaged[at + length :]
        try:
            assert believed(packed(damaged), idp).name_id == "sam@example.com"
        except BadToken:
            refused += 1
    assert refused > 500


def test_every_element_of_a_signature_may_be_empty_or_missing() -> None:
    """The schema of signatures lets much pass that signxml does not expect."""
    for signs in ("assertion", "response"):
        idp = make(signs=(signs,))
        whole = idp.response(ASKED)
        for number in range(len(list(found(whole, ".//ds:Signature").iter()))):
            for damage in ("empty", "gone", "bare", "odd"):
                root = deepcopy(whole)
                _damage(list(found(root, ".//ds:Signature").iter())[number], damage)
                with suppress(BadToken):
                    assert believed(packed(root), idp).name_id == "sam@example.com"


def _damage(element: Element, how: str) -> None:
    match how:
        case "empty":
            element.text = None
        case "gone":
            element.getparent().remove(element)
        case "bare":
            element.attrib.clear()
        case _:
            element.text = "\u00e9"
