"""Which rules a version of the policy has changed, and who may not approve under them."""

from __future__ import annotations

import pytest

from holdpoint.errors import MayNotDecide
from holdpoint.model import Reviewer, StandIn
from holdpoint.policy import parse_policy, separation
from holdpoint.policy.authority import Right
from holdpoint.policy.separation import RuleChange
from tests.holdpoint.policy.builders import HEAD, document

HOUR = 3_600_000
GROUPS = "groups:\n  security: {members: [sam@example.com, kim@example.com]}\n  sales: {members: [lee@example.com]}\n"
PATTERNS = "patterns:\n  names: [orion]\n"
ONE = "- {id: one, when: {prompt: {patterns: [names]}}, verdict: review, reviewers: [{group: security}]}"
OTHER = "- {id: other, when: {prompt: {matches: [x]}}, verdict: block}"
BASE = document(f"{ONE}\n{OTHER}", HEAD + GROUPS + PATTERNS)
DEFAULTS = {"default", "uninspectable", "pause"}
ISSUER = "{issuer: https://login.example.com, sign_in: {client_id: us}}"

CHANGES: dict[str, tuple[str, str, set[str]]] = {
    # what was changed: from, to, the rules that changed
    "nothing": ("", "", set()),
    "the layout": ("- {id: other,", "\n\n  - {id: other, ", set()),
    "a comment": ("rules:", "# a comment\nrules:", set()),
    "the order of members": ("sam@example.com, kim@example.com", "kim@example.com, sam@example.com", set()),
    "the order of rules": (f"  {ONE}\n  {OTHER}", f"  {OTHER}\n  {ONE}", set()),
    "a condition": ("matches: [x]", "matches: [y]", {"other"}),
    "a verdict": ("verdict: block", "verdict: review", {"other"}),
    "its description": ("{id: other,", "{id: other, description: new,", {"other"}),
    "what a name stands for": ("[orion]", "[orion, apollo]", {"one"}),
    "who is in the group that it asks": ("kim@example.com", "eve@example.com", {"one"}),
    "who is in another group": ("lee@example.com", "eve@example.com", set()),
    "who is asked": ("group: security}", "group: sales}", {"one"}),
    "its id": ("id: other", "id: another", {"other", "another"}),
    "the defaults": ("{verdict: allow}", "{verdict: review}", DEFAULTS),
    "this section": ("rules:", "authority: {self_approval: low}\nrules:", {"one", "other", *DEFAULTS}),
    "whose word is taken": ("rules:", f"issuers: [{ISSUER}]\nrules:", {"one", "other", *DEFAULTS}),
    "whose word is taken in Teams": ("rules:", "teams: {guests: true}\nrules:", {"one", "other", *DEFAULTS}),
    "who the admins are": ("admins: [platform]", "admins: [security]", DEFAULTS),
    "a route": ("rules:", "routes: [{group: sales, channels: [web]}]\nrules:", set()),
}  # fmt: skip  # one row each


@pytest.mark.parametrize("what", CHANGES)
def test_what_is_a_change_of_a_rule(what: str) -> None:
    old, new, rules = CHANGES[what]
    assert old in BASE
    after = BASE.replace(old, new, 1) if old else BASE
    found = separation.changed(*(separation.meanings(parse_policy(text)) for text in (BASE, after)))
    assert found == rules


NOW = 100 * HOUR
SAM, KIM = "sam@example.com", "kim@example.com"
AGO = NOW - HOUR


def person(principal: str, *also: str) -> Reviewer:
    return Reviewer(principal, frozenset({"security"}), frozenset(), "web", aliases=frozenset(also))


def change(
    *by: str, rules: frozenset[str] | None = frozenset({"one"}), at_ms: int = AGO, also: tuple[str, ...] = ()
) -> RuleChange:
    return RuleChange(rules, by, at_ms, also)


OWN = Right(frozenset({"security"}))
FOR_SAM = Right(OWN.groups, StandIn("boss@example.com", OWN.groups, NOW + HOUR, frozenset({SAM})))

BARRED: dict[str, tuple[RuleChange, Reviewer, Right, bool]] = {
    "who changed the rule": (change(SAM), person(SAM), OWN, True),
    "written otherwise": (change("Sam@Example.com "), person(SAM), OWN, True),
    "under another address": (change(SAM), person("s.smith@example.com", SAM), OWN, True),
    "where they changed it under another address": (change("s.smith@example.com", also=(SAM,)), person(SAM), OWN, True),
    "who confirmed the change": (change(KIM, SAM), person(SAM), OWN, True),
    "who stands in for who changed it": (change(SAM), person(KIM), FOR_SAM, True),
    "the user of a shell, by their address": (change("cli:sam"), person(SAM), OWN, True),
    "everybody, when it cannot be known": (change(rules=None), person(KIM), OWN, True),
    "not somebody else": (change(SAM), person(KIM), OWN, False),
    "not who changed another rule": (change(SAM, rules=frozenset({"other"})), person(SAM), OWN, False),
    "not once the time is over": (change(SAM, at_ms=NOW - 24 * HOUR), person(SAM), OWN, False),
    "but until the last moment": (change(SAM, at_ms=NOW - 24 * HOUR + 1), person(SAM), OWN, True),
    "not for a shell's root": (change("cli:root"), person(SAM), OWN, False),
    "nor for a shell without a user": (change("cli"), person(SAM), OWN, False),
    "nor for who is called as a shell's user further on": (change("cli:example"), person(SAM), OWN, False),
}


@pytest.mark.promise(5)
@pytest.mark.parametrize("who", BARRED)
def test_who_may_not_approve_under_a_rule(who: str) -> None:
    made, reviewer, right, barred = BARRED[who]

    def check() -> None:
        separation.check(reviewer, right, [made], rules={"one", "more"}, separation_ms=24 * HOUR, now_ms=NOW)

    if not barred:
        check()
        return
    with pytest.raises(MayNotDecide):
        check()


def test_the_order_of_many_members_is_no_change() -> None:
    members = [f"p{number}@example.com" for number in range(60)]
    texts = [BASE.replace("sam@example.com", ", ".join(order)) for order in (members, members[::-1])]
    assert not separation.changed(*(separation.meanings(parse_policy(text)) for text in texts))


@pytest.mark.parametrize(("before", "after"), [("[platform]", "[security]"), ("ada@example.com", "eve@example.com")])
def test_who_changes_the_admins_changes_who_decides_while_traffic_is_paused(before: str, after: str) -> None:
    text = BASE.replace("{verdict: allow}", "{verdict: allow, reviewers: [{group: sales}]}")
    text = text.replace("groups:\n", "groups:\n  platform: {members: [ada@example.com]}\n")
    assert before in text
    found = separation.changed(
        *(separation.meanings(parse_policy(each)) for each in (text, text.replace(before, after)))
    )
    assert found == {"pause"}
