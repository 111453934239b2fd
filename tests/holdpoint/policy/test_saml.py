"""``saml``: read as it is meant, and every mistake with its line."""

from __future__ import annotations

import pytest

from holdpoint.errors import PolicyError
from holdpoint.policy import parse_policy
from holdpoint.policy.saml import SamlProvider
from tests.support.saml import key_pair

ONE, TWO = key_pair("idp").certificate, key_pair("next").certificate
BARE = "".join(ONE.splitlines()[1:-1])
GIVEN = f"entity_id: idp, sso_url: 'https://idp/sso', certificates: [{BARE}]"


def pem(text: str, indent: int) -> str:
    return text.strip().replace("\n", "\n" + " " * indent)


FULL = f"""
version: 1
saml:
  - entity_id: http://www.okta.com/exk1
    sso_url: https://example.okta.com/app/exk1/sso/saml?x=1
    certificates:
      - |
        {pem(ONE, 8)}
      - {"".join(TWO.splitlines()[1:-1])}
    requester: urn:oid:0.9.2342.19200300.100.1.3
    name: displayName
    groups: http://schemas.xmlsoap.org/claims/Group
  - {{{GIVEN}}}
"""


def test_everything_that_can_be_said_and_the_least() -> None:
    assert parse_policy(FULL).saml == (
        SamlProvider(
            entity_id="http://www.okta.com/exk1",
            sso_url="https://example.okta.com/app/exk1/sso/saml?x=1",
            certificates=(ONE, TWO),
            requester="urn:oid:0.9.2342.19200300.100.1.3",
            name="displayName",
            groups="http://schemas.xmlsoap.org/claims/Group",
        ),
        SamlProvider("idp", "https://idp/sso", (ONE,)),
    )
    assert parse_policy("version: 1\n").saml == ()


@pytest.mark.parametrize("lines", ["\n", "\r\n", ""], ids=["lines", "Windows lines", "no lines"])
def test_a_certificate_as_it_was_pasted(lines: str) -> None:
    text = ONE.replace("\n", lines).replace("\r", "\\r").replace("\n", "\\n")
    (found,) = parse_policy(
        f'version: 1\nsaml: [{{entity_id: idp, sso_url: "https://x", certificates: ["{text}"]}}]\n'
    ).saml
    assert found.certificates == (ONE,)


def given(**changes: str | None) -> str:
    fields: dict[str, str | None] = {"entity_id": "idp", "sso_url": "'https://idp/sso'", "certificates": f"[{BARE}]"}
    return "{" + ", ".join(f"{name}: {value}" for name, value in (fields | changes).items() if value is not None) + "}"


WRONG = {
    "no entity_id": (given(entity_id=None), "a SAML provider lacks 'entity_id'"),
    "no sso_url": (given(sso_url=None), "a SAML provider lacks 'sso_url'"),
    "no certificates": (given(certificates=None), "a SAML provider lacks 'certificates'"),
    "an empty list of certificates": (given(certificates="[]"), "without a certificate nobody's word can be checked"),
    "a certificate that is no list": (given(certificates=BARE), "certificates must be a list"),
    "no mapping": ("idp", "a SAML provider must be a mapping"),
    "an unknown field": (given(certificate="x"), "has no field 'certificate': did you mean 'certificates'?"),
    "an empty name": (given(entity_id="''"), "entity_id is empty"),
    "a name that is no text": (given(entity_id="5"), "put it in quotes"),
    "a huge name": (given(entity_id="x" * 1_001), "entity_id"),
    "no https": (given(sso_url="'http://idp/sso'"), "sso_url must begin with https://"),
    "no URL": (given(sso_url="idp"), "sso_url must begin with https://"),
    "a script": (given(sso_url="'javascript:alert(1)'"), "sso_url must begin with https://"),
    "a blank in the URL": (given(sso_url="'https://idp/s so'"), "sso_url must begin with https://"),
    "a fragment": (given(sso_url="'https://idp/sso#x'"), "no fragment"),
    "a credential": (given(sso_url="'https://u:hunter2@idp/sso'"), "no credential"),
    "an empty attribute": (given(groups="''"), "groups is empty"),
    "no base64": (given(certificates="['hunter2!']"), "is no certificate in PEM"),
    "not a certificate": (given(certificates="[aHVudGVyMg==]"), "is no certificate in PEM"),
    "half a certificate": (given(certificates=f"[{BARE[:400]}]"), "is no certificate in PEM"),
    "a certificate and more": (given(certificates=f"[{BARE.rstrip('=')}AAAA]"), "is no certificate in PEM"),
    "a huge certificate": (given(certificates=f"[{'MIIC' * 10_000}]"), "is no certificate in PEM"),
    "a private key": (given(certificates=repr([key_pair("idp").key])), "is no certificate in PEM"),
    "two certificates in one text": (given(certificates=repr([ONE + TWO])), "is no certificate in PEM"),
    "letters that only look alike": (given(certificates="['ＭIIC']"), "is no certificate in PEM"),
}


@pytest.mark.parametrize(("entry", "problem"), WRONG.values(), ids=WRONG)
def test_every_mistake_has_its_line(entry: str, problem: str) -> None:
    with pytest.raises(PolicyError) as caught:
        parse_policy(f"version: 1\nsaml:\n  - {entry}\n")
    assert [each.line for each in caught.value.problems] == [3] * len(caught.value.problems)
    assert any(problem in each.message for each in caught.value.problems), caught.value
    assert "hunter2" not in str(caught.value)
    assert "PRIVATE KEY" not in str(caught.value)


def test_a_provider_that_stands_twice() -> None:
    with pytest.raises(PolicyError) as caught:
        parse_policy(f"version: 1\nsaml:\n  - {{{GIVEN}}}\n  - {{{GIVEN}}}\n")
    (problem,) = caught.value.problems
    assert (problem.line, "stands twice: write all its certificates in one entry" in problem.message) == (4, True)


def test_groups_by_an_attribute_that_is_named_by_an_object_identifier() -> None:
    name = "urn:oid:1.3.6.1.4.1.5923.1.5.1.1"
    groups = parse_policy(f"version: 1\ngroups: {{law: {{claims: {{'{name}': [lawyers]}}}}}}\n").groups
    assert groups["law"].claims == {name: ("lawyers",)}
