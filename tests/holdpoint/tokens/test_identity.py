"""Claims → who it is: people, agents, owners, groups; and all that names nobody."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from holdpoint.errors import BadToken, MissingGroups
from holdpoint.policy.groups import Group
from holdpoint.policy.issuers import AgentTerms, Issuer
from holdpoint.tokens.claims import claim, values_at
from holdpoint.tokens.identity import Identity, identity_of
from tests.holdpoint.tokens.issuing import AUDIENCE, ISSUER, claims

NOW_MS = 1_900_000_000_000
PEOPLE = Issuer(ISSUER, frozenset({AUDIENCE}), groups="groups")
NO_GROUPS: dict[str, Group] = {}


def named(issuer: Issuer = PEOPLE, policy: dict[str, Group] = NO_GROUPS, /, **said: Any) -> Identity:
    return identity_of(claims(NOW_MS, **said), issuer, policy)


def refused(issuer: Issuer = PEOPLE, policy: dict[str, Group] = NO_GROUPS, /, **said: Any) -> str:
    with pytest.raises(BadToken) as caught:
        named(issuer, policy, **said)
    return str(caught.value)


def test_a_person() -> None:
    found = named(groups=["eng", "sec"], auth_time=1_899_999_999, acr="phr", preferred_username="dana.m@example.com")
    assert found == Identity(
        principal="dana@example.com", subject="u1", issuer=ISSUER, name="Dana", groups=frozenset({"eng", "sec"}),
        owner=None, aliases=frozenset({"dana.m@example.com"}), expires_ms=NOW_MS + 600_000,
        auth_ms=1_899_999_999_000, acr="phr",
    )  # fmt: skip


@pytest.mark.promise(5)
@pytest.mark.parametrize(
    "email",
    [
        None, "", " ", "dana", 5, True, ["dana@example.com"], {"value": "dana@example.com"}, "dana@", "@example.com",
        "dana@example.com,kim@example.com", "Dana <dana@example.com>", '"dana"@example.com', "dana@example.com ",
        "dana@example.com\n", "dana@example.com\x00", "da na@example.com", "dana@[127.0.0.1]", "dana@example..com",
        "dаna@example.com",  # a Cyrillic letter
        "ｄana@example.com", "dana@ｅxample.com", "dana＠example.com", "dana@exämple.com", "dana\u200b@example.com",
        "dana@example.com\u202e", "DANA@EXAMPLE.COM\u0130", "x" * 65 + "@example.com", "dana@" + "x" * 260 + ".com",
    ],
    ids=repr,
)  # fmt: skip
def test_what_names_nobody(email: object) -> None:
    assert "e-mail" in refused(email=email)


@pytest.mark.parametrize("email", ["Dana@Example.COM", "dana@EXAMPLE.com", "DANA@EXAMPLE.COM"])
def test_case_makes_no_second_person(email: str) -> None:
    assert named(email=email).principal == "dana@example.com"


@pytest.mark.promise(5)
@pytest.mark.parametrize("verified", [False, "false", "False", 0, 1, "yes", [], {}, ""], ids=repr)
def test_an_address_that_is_not_verified_names_nobody(verified: object) -> None:
    assert "verified" in refused(email_verified=verified)
    nested = replace(PEOPLE, requester="user.email")
    assert "verified" in refused(nested, user={"email": "dana@example.com", "email_verified": verified})


@pytest.mark.parametrize("verified", [None, True, "true"], ids=repr)
def test_an_address_that_is_verified_or_of_which_nothing_is_said(verified: object) -> None:
    assert named(email_verified=verified).principal == "dana@example.com"


def test_another_claim_names_the_person() -> None:
    upn = replace(PEOPLE, requester="upn")
    assert named(upn, upn="kim@example.com", email_verified=False).principal == "kim@example.com"
    assert named(upn, upn="kim@example.com").aliases == {"dana@example.com"}
    assert "'upn'" in refused(upn)


def test_names_are_one_line_and_bounded() -> None:
    assert named(name="a\nb\u202e" + "x" * 500).name == ("a⟨U+000A⟩b⟨U+202E⟩" + "x" * 500)[:200]
    assert named(name=None).name == named(name=["Dana"]).name == ""


@pytest.mark.parametrize(
    ("require", "said", "counts"),
    [
        ({"tid": ("t1", "t2")}, {"tid": "t2"}, True),
        ({"tid": ("t1",)}, {"tid": "T1"}, False),
        ({"tid": ("t1",)}, {"tid": ["t0", "t1"]}, True),
        ({"tid": ("t1",)}, {}, False),
        ({"tid": ("t1",), "hd": ("example.com",)}, {"tid": "t1"}, False),
        ({"tid": ("t1",), "hd": ("example.com",)}, {"tid": "t1", "hd": "example.com"}, True),
        ({"a.b": ("c",)}, {"a": {"b": "c"}}, True),
        ({"admin": ("true",)}, {"admin": True}, True),
        ({"admin": ("1",)}, {"admin": True}, False),
        ({"level": ("3",)}, {"level": 3}, True),
        ({"tid": ("t1",)}, {"tid": {"t1": 1}}, False),
        ({"tid": ("",)}, {}, False),
    ],
)
def test_what_is_required(require: dict[str, tuple[str, ...]], said: dict[str, Any], counts: bool) -> None:
    issuer = replace(PEOPLE, require=require)
    if counts:
        assert named(issuer, **said)
    else:
        assert "requires" in refused(issuer, **said)


BOTS = AgentTerms(requester="azp", when={"idtyp": ("app",)}, owner="owner", owners=(("ci-*", "kim@example.com"),))
MIXED = replace(PEOPLE, agents=BOTS)
PROGRAM = {"idtyp": "app", "email": None, "email_verified": None, "name": "Deploys"}


def test_an_agent_and_its_owner() -> None:
    found = named(MIXED, **PROGRAM, azp="Deploy-Bot", owner="Sam@Example.com")
    assert (found.principal, found.owner, found.name) == ("deploy-bot", "sam@example.com", "Deploys")
    assert found.aliases == frozenset()
    assert named(MIXED, **PROGRAM, azp="CI-7").owner == "kim@example.com"
    assert named(MIXED, **PROGRAM, azp="ci-7", owner="sam@example.com").owner == "sam@example.com", (
        "the claim comes first"
    )


@pytest.mark.promise(5)
@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"azp": "deploy-bot"}, "nobody answers"),
        ({"azp": "xci-7"}, "nobody answers"),
        ({"azp": "ci-7", "owner": ""}, "e-mail"),
        ({"azp": "ci-7", "owner": "sam"}, "e-mail"),
        ({"azp": "ci-7", "owner": ["sam@example.com"]}, "e-mail"),
        ({"azp": "ci-7", "owner": "ｓam@example.com"}, "e-mail"),
        ({}, "no name"),
        ({"azp": ""}, "no name"),
        ({"azp": " ci-7"}, "no name"),
        ({"azp": 5}, "no name"),
        ({"azp": "sam@example.com"}, "no name"),
        ({"azp": "ci-７"}, "no name"),
        ({"azp": "ci-7\u200b"}, "no name"),
        ({"azp": "ci-7\n"}, "no name"),
        ({"azp": "ci-" + "7" * 200}, "no name"),
    ],
)
def test_agents_that_do_not_count(said: dict[str, Any], why: str) -> None:
    assert why in refused(MIXED, **PROGRAM, **said)


@pytest.mark.promise(5)
def test_an_agent_is_never_taken_for_a_person_nor_a_person_for_an_agent() -> None:
    assert "no name" in refused(MIXED, idtyp="app", azp="dana@example.com", owner="sam@example.com")
    assert "e-mail" in refused(MIXED, email="ci-7", azp="ci-7")
    assert named(MIXED, azp="ci-7").owner is None, "what `when` does not fit is a person's"


KUBERNETES = {
    "iss": ISSUER, "aud": [AUDIENCE], "exp": NOW_MS // 1000 + 3600, "iat": NOW_MS // 1000, "nbf": NOW_MS // 1000,
    "sub": "system:serviceaccount:payments:biller",
    "kubernetes.io": {
        "namespace": "payments", "pod": {"name": "biller-7d"}, "serviceaccount": {"name": "biller", "uid": "u"},
    },
}  # fmt: skip
GITHUB = {
    "iss": ISSUER, "aud": AUDIENCE, "exp": NOW_MS // 1000 + 300, "sub": "repo:Acme/app:ref:refs/heads/main",
    "repository": "Acme/app", "repository_owner": "Acme", "ref": "refs/heads/main", "actor": "octocat",
}  # fmt: skip
GITLAB = {
    "iss": ISSUER, "aud": AUDIENCE, "exp": NOW_MS // 1000 + 300, "user_email": "Dana@example.com", "ref": "main",
    "sub": "project_path:acme/app:ref_type:branch:ref:main", "project_path": "acme/app", "ref_protected": "true",
}  # fmt: skip
ENTRA_APP = {
    "iss": ISSUER, "aud": AUDIENCE, "exp": NOW_MS // 1000 + 3600, "idtyp": "app", "azp": "6731de76", "oid": "o",
    "appid": "6731de76", "roles": ["Holdpoint.Use"], "tid": "t1",
}  # fmt: skip
OKTA_APP = {"iss": ISSUER, "aud": AUDIENCE, "exp": NOW_MS // 1000 + 3600, "cid": "0oa1", "sub": "0oa1", "scp": ["llm"]}


@pytest.mark.parametrize(
    ("said", "agents", "groups", "principal", "owner", "in_groups"),
    [
        (
            KUBERNETES, AgentTerms("sub", owners=(("system:serviceaccount:payments:*", "kim@example.com"),)),
            "kubernetes.io.namespace", "system:serviceaccount:payments:biller", "kim@example.com", {"payments"},
        ),
        (
            KUBERNETES, AgentTerms("kubernetes.io.serviceaccount.name", owners=(("*", "kim@example.com"),)),
            None, "biller", "kim@example.com", set(),
        ),
        (
            GITHUB, AgentTerms("repository", owners=(("acme/*", "kim@example.com"),)), "repository_owner",
            "acme/app", "kim@example.com", {"Acme"},
        ),
        (
            GITLAB, AgentTerms("sub", owner="user_email"), None,
            "project_path:acme/app:ref_type:branch:ref:main", "dana@example.com", set(),
        ),
        (
            ENTRA_APP, AgentTerms("azp", when={"idtyp": ("app",)}, owners=(("6731de76", "kim@example.com"),)), "roles",
            "6731de76", "kim@example.com", {"Holdpoint.Use"},
        ),
        (
            OKTA_APP, AgentTerms("cid", owners=(("0oa1", "kim@example.com"),)), "scp", "0oa1", "kim@example.com", {"llm"},
        ),
    ],
    ids=["kubernetes", "kubernetes name", "github", "gitlab", "entra", "okta"],
)  # fmt: skip
def test_workload_identities(
    said: dict[str, Any], agents: AgentTerms, groups: str | None, principal: str, owner: str, in_groups: set[str]
) -> None:
    found = identity_of(said, replace(PEOPLE, agents=agents, groups=groups), NO_GROUPS)
    assert (found.principal, found.owner, found.groups) == (principal, owner, in_groups)
    with pytest.raises(BadToken):
        identity_of(said, replace(PEOPLE, groups=groups, requester="sub"), NO_GROUPS)  # no person


@pytest.mark.parametrize(
    ("path", "said", "names"),
    [
        ("groups", {"groups": ["a", "b", "a"]}, {"a", "b"}),
        ("groups", {"groups": "a"}, {"a"}),
        ("groups", {"groups": []}, set()),
        ("groups", {}, set()),
        ("realm_access.roles", {"realm_access": {"roles": ["a"]}}, {"a"}),
        ("https://example.com/groups", {"https://example.com/groups": ["a"]}, {"a"}),
        ("cognito:groups", {"cognito:groups": ["a"]}, {"a"}),
        ("a.b.c", {"a.b": {"c": "x"}, "a": {"b": {"c": "y"}}}, {"x"}),  # the longest name
        ("groups", {"groups": ["Équipe Sécurité", "CN=sec,OU=x", "a b", "ｓec", "SEC"]},
         {"Équipe Sécurité", "CN=sec,OU=x", "a b", "ｓec", "SEC"}),  # as they are: no look-alike becomes another one
        ("groups", {"groups": ["*", "", " ", "a\nb", "a\u202eb", "\u200b", "x" * 201, "ok"]}, {"ok"}),
    ],
)  # fmt: skip
def test_groups_that_a_token_names(path: str, said: dict[str, Any], names: set[str]) -> None:
    assert named(replace(PEOPLE, groups=path), **said).groups == names


@pytest.mark.parametrize("value", [5, {"a": 1}, [["a"]], ["a", 5], ["a", None], True], ids=repr)
def test_groups_that_nobody_can_read(value: object) -> None:
    assert "no list of groups" in refused(groups=value)
    assert named(replace(PEOPLE, groups=None), groups=value).groups == frozenset()


SECURITY = {
    "security": Group("security", claims={"groups": ("sec-team", "g-17"), "department": ("security",)}),
    "staff": Group("staff", claims={"hd": ("example.com",)}),
    "others": Group("others", members=frozenset({"x@example.com"})),
}


@pytest.mark.parametrize(
    ("said", "names"),
    [
        ({"groups": ["g-17"]}, {"g-17", "security"}),
        ({"department": "security"}, {"security"}),
        ({"groups": ["sec-team"], "hd": "example.com"}, {"sec-team", "security", "staff"}),
        ({"groups": ["Sec-Team"], "department": "Security"}, {"Sec-Team"}),
        ({"groups": ["security"]}, {"security"}),  # an issuer with `groups` names them itself
        ({}, set()),
    ],
)
def test_groups_of_the_policy_by_their_claims(said: dict[str, Any], names: set[str]) -> None:
    assert named(PEOPLE, SECURITY, **said).groups == names


def test_an_issuer_whose_tokens_name_no_groups_gives_those_of_the_policy_only() -> None:
    silent = replace(PEOPLE, groups=None)
    assert named(silent, SECURITY, groups=["g-17", "admins"]).groups == {"security"}
    assert named(silent, SECURITY, groups=["security"]).groups == frozenset()


@pytest.mark.promise(5)
@pytest.mark.parametrize(
    "said",
    [
        {"_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {"endpoint": "https://graph.example.com"}}},
        {"hasgroups": True},
        {"hasgroups": "true"},
    ],
    ids=repr,
)
def test_groups_that_were_too_many_are_not_no_groups(said: dict[str, Any]) -> None:
    by_claims = replace(PEOPLE, groups=None)
    for issuer, groups in ((PEOPLE, NO_GROUPS), (by_claims, SECURITY)):
        with pytest.raises(MissingGroups):
            named(issuer, groups, **said)
    assert named(by_claims, **said).groups == frozenset(), "nobody looks at groups"


@pytest.mark.parametrize(
    "said", [{"_claim_names": {"address": "src1"}}, {"_claim_names": 5}, {"hasgroups": False}], ids=repr
)
def test_other_claims_that_are_elsewhere(said: dict[str, Any]) -> None:
    assert named(**said).principal == "dana@example.com"


def test_every_other_address_of_the_person() -> None:
    found = named(
        email="dana@example.com", preferred_username="DMiller@corp.example.com", upn="dm@example.com",
        unique_name="live.com#dana@example.net", emails=["d@example.org", "dana@example.com", "ü@example.com"],
    )  # fmt: skip
    assert found.aliases == {"dmiller@corp.example.com", "dm@example.com", "live.com#dana@example.net", "d@example.org"}


@pytest.mark.parametrize("said", [{"auth_time": "now"}, {"auth_time": True}], ids=repr)
def test_times_that_are_none(said: dict[str, Any]) -> None:
    refused(**said)


def test_paths() -> None:
    assert claim({"a": {"b": None}}, "a.b") is None
    assert claim({"a": "x"}, "a.b") is None
    assert claim({}, "") is None
    assert values_at({"a": [1, "b", True, None, [2], {"c": 1}]}, "a") == {"1", "b", "true"}
