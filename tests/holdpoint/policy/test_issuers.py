"""``issuers`` and the claims of ``groups``: read as they are meant, and every mistake with its line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from holdpoint.errors import PolicyError
from holdpoint.policy import issuers, parse_policy
from holdpoint.policy.issuers import USUAL_ALGORITHMS, AgentTerms, Algorithm, Issuer, SignIn

FULL = """
version: 1
issuers:
  - issuer: https://login.example.com/
    audience: [holdpoint, "api://holdpoint"]
    requester: user.email
    name: display_name
    groups: realm_access.roles
    require: {tid: [t1, t2], idp: corp}
    algorithms: [RS256, EdDSA]
    jwks: https://login.example.com/keys?tenant=1
    agents:
      when: {idtyp: app}
      requester: azp
      owner: user_email
      owners: {"repo:acme/app:*": Dana@example.com, "*": kim@example.com}
    sign_in: {client_id: holdpoint-web, client_secret: env:OIDC_SECRET}
groups:
  security: {claims: {groups: [sec-team], department: security}}
"""


def test_everything_that_can_be_said() -> None:
    found = parse_policy(FULL)
    assert found.issuers == (
        Issuer(
            issuer="https://login.example.com/",
            audiences=frozenset({"holdpoint", "api://holdpoint"}),
            requester="user.email",
            name="display_name",
            groups="realm_access.roles",
            require={"tid": ("t1", "t2"), "idp": ("corp",)},
            algorithms=frozenset({Algorithm.RS256, Algorithm.EDDSA}),
            jwks="https://login.example.com/keys?tenant=1",
            agents=AgentTerms(
                "azp", {"idtyp": ("app",)}, "user_email",
                (("repo:acme/app:*", "dana@example.com"), ("*", "kim@example.com")),
            ),
            sign_in=SignIn("holdpoint-web", "env:OIDC_SECRET"),
        ),
    )  # fmt: skip
    assert found.groups["security"].claims == {"groups": ("sec-team",), "department": ("security",)}


def test_the_least_that_can_be_said() -> None:
    (found,) = parse_policy("version: 1\nissuers: [{issuer: 'https://x.test', audience: holdpoint}]\n").issuers
    assert found == Issuer("https://x.test", frozenset({"holdpoint"}), "email", "name")
    assert found.algorithms == USUAL_ALGORITHMS
    assert all(each.value[:2] in ("RS", "PS", "ES", "Ed") for each in Algorithm), "all of them asymmetric"


def test_an_issuer_for_signing_in_needs_no_audience_and_one_on_this_machine_no_https() -> None:
    text = "version: 1\nissuers: [{issuer: 'http://127.0.0.1:9400', sign_in: {client_id: web}}]\n"
    (found,) = parse_policy(text).issuers
    assert found.audiences == frozenset()
    assert found.sign_in == SignIn("web")


def test_one_issuer_for_several_audiences_with_other_terms() -> None:
    parse_policy(
        "version: 1\nissuers:\n  - {issuer: 'https://x', audience: a}\n  - {issuer: 'https://x', audience: b, requester: upn}\n"
    )


AUDIENCE = "audience: a"
WRONG = {
    "{audience: a}": "an issuer lacks 'issuer'",
    "{issuer: 'http://login.example.com', audience: a}": "issuer must begin with https://",
    "{issuer: login.example.com, audience: a}": "issuer must begin with https://",
    "{issuer: 'https://u:hunter2@x', audience: a}": "issuer may have no credential and no fragment",
    "{issuer: 'https://x#y', audience: a}": "issuer may have no credential and no fragment",
    "{issuer: 'https://x?y', audience: a}": "issuer may have a path, but no query",
    "{issuer: 'https://x y', audience: a}": "issuer must begin with https://",
    "{issuer: 'https://ｘ.test', audience: a}": "issuer must begin with https://",
    "{issuer: 'https://x', audience: 5}": "issuer 'https://x': audience must be text, not a number: put it in quotes",
    "{issuer: 'https://x', audience: []}": "audience is an empty list",
    "{issuer: 'https://x', audience: ''}": "audience is empty",
    "{issuer: 'https://x', audience: a, request: email}": "an issuer has no field 'request': did you mean 'requester'?",
    "{issuer: 'https://x', audience: a, algorithms: [HS256]}": "algorithms cannot be 'HS256': did you mean 'RS256'?",
    "{issuer: 'https://x', audience: a, algorithms: [none]}": "algorithms cannot be 'none': it is one of RS256",
    "{issuer: 'https://x', audience: a, algorithms: []}": "algorithms is an empty list",
    "{issuer: 'https://x', audience: a, jwks: 'http://x/keys'}": "jwks must begin with https://",
    "{issuer: 'https://x', audience: a, jwks: 'https://u:hunter2@x/keys'}": "jwks may have no credential",
    "{issuer: 'https://x', audience: a, requester: ' email'}": "requester ' email' is no path of a claim",
    "{issuer: 'https://x', audience: a, groups: a.b.c.d.e.f.g.h.i}": "is no path of a claim, such as realm_access.roles",
    "{issuer: 'https://x', audience: a, require: {}}": "require names no claim",
    "{issuer: 'https://x', audience: a, require: {tid: []}}": "require.tid is an empty list",
    "{issuer: 'https://x', audience: a, require: {tid: [5]}}": "put it in quotes",
    "{issuer: 'https://x', audience: a, require: [tid]}": "require must be a mapping, not a list",
    "{issuer: 'https://x', audience: a, require: {'': [a]}}": "require: '' is no path of a claim",
    "{issuer: 'https://x', audience: a, agents: {}}": "agents: nobody answers for them: name owner (a claim) or owners",
    "{issuer: 'https://x', audience: a, agents: {requester: sub}}": "nobody answers for them",
    "{issuer: 'https://x', audience: a, agents: {owners: {'*': dana}}}": "'dana' is not one e-mail address",
    "{issuer: 'https://x', audience: a, agents: {owners: {'*': 'dаna@example.com'}}}": "is not one e-mail address",
    "{issuer: 'https://x', audience: a, agents: {owners: {'': dana@example.com}}}": "an agent's name is empty",
    "{issuer: 'https://x', audience: a, agents: {owner: o, whom: {a: b}}}": "agents has no field 'whom'",
    "{issuer: 'https://x', audience: a, sign_in: {client_secret: 'env:X'}}": "sign_in lacks 'client_id'",
    "{issuer: 'https://x', audience: a, sign_in: {client_id: w, client_secret: hunter2}}": "client_secret must be env:NAME",
}


@pytest.mark.parametrize("entry", WRONG)
def test_every_mistake_has_its_line(entry: str) -> None:
    with pytest.raises(PolicyError) as caught:
        parse_policy(f"version: 1\nissuers:\n  - {entry}\n")
    assert [problem.line for problem in caught.value.problems] == [3] * len(caught.value.problems)
    assert any(WRONG[entry] in problem.message for problem in caught.value.problems), caught.value
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("second", "problem"),
    [
        (
            "{issuer: 'https://x', audience: [b, a]}",
            "issuer 'https://x' stands twice for the audience 'a' (first in line 3)",
        ),
        (
            "{issuer: 'https://x', audience: c, sign_in: {client_id: w}}",
            "issuer 'https://x' has sign_in twice for the same client_id",
        ),
    ],
)
def test_entries_of_which_nobody_knows_which_one_counts(second: str, problem: str) -> None:
    first = "{issuer: 'https://x', audience: a, sign_in: {client_id: w}}"
    with pytest.raises(PolicyError) as caught:
        parse_policy(f"version: 1\nissuers:\n  - {first}\n  - {second}\n")
    assert [(each.line, each.message) for each in caught.value.problems] == [(4, problem)]


def test_the_claims_of_a_group_are_checked_alike() -> None:
    with pytest.raises(PolicyError, match="group 'a': claims must be a mapping"):
        parse_policy("version: 1\ngroups: {a: {claims: [x]}}\n")
    with pytest.raises(PolicyError, match="group 'a': claims names no claim"):
        parse_policy("version: 1\ngroups: {a: {claims: {}}}\n")


DOCS = Path(__file__).parents[3] / "docs"


def test_every_entry_of_the_docs_is_a_right_one() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", (DOCS / "identity.md").read_text(), re.DOTALL)
    assert len(blocks) > 8
    for block in blocks:
        text = block if block.startswith("issuers:") else f"issuers:\n{block}"
        assert parse_policy(f"version: 1\n{text}").issuers


@pytest.mark.parametrize("name", [*issuers._FIELDS, *issuers._AGENT_FIELDS, "client_id", "client_secret", *Algorithm])
def test_every_field_stands_in_the_docs(name: str) -> None:
    section = (DOCS / "policy.md").read_text().partition("### `issuers`\n")[2].partition("\n## ")[0]
    assert name in section
