from __future__ import annotations

from pathlib import Path

import pytest

from holdpoint.errors import PolicyError
from holdpoint.model import Connection, Escalation, OnTimeout, Requirement, Risk, Role, Route, Verdict
from holdpoint.policy import check_policy, parse_policy
from holdpoint.policy.defaults import Defaults
from holdpoint.policy.groups import Group
from holdpoint.policy.issuers import Issuer
from tests.holdpoint.policy.builders import HEAD, document

EXAMPLE = (Path(__file__).parent / "example.yaml").read_text()


def problems_of(text: str) -> list[tuple[int, str | None, str]]:
    with pytest.raises(PolicyError) as raised:
        parse_policy(text, "p.yaml")
    return [(p.line, p.rule, p.message) for p in raised.value.problems]


def test_the_example_of_the_design_is_read_as_it_is_meant() -> None:
    found = parse_policy(EXAMPLE, "example.yaml")

    assert found.defaults == Defaults(
        Verdict.ALLOW, Verdict.REVIEW, 600_000, OnTimeout.REJECT, Risk.MEDIUM, (Requirement("platform", 1),)
    )
    assert found.connections == {
        "demo": Connection("demo", "http://127.0.0.1:9000", "openai", "production", "env:DEMO_KEY")
    }
    assert found.groups["security"] == Group("security", frozenset({"sam@example.com", "kim@example.com"}), "S0123ABCD")
    assert found.issuers == (Issuer("https://login.example.com", frozenset({"holdpoint"}), "email", groups="groups"),)
    assert found.roles == {
        Role.ADMIN: frozenset({"platform"}),
        Role.AUDITOR: frozenset({"compliance"}),
        Role.REVIEWER: frozenset({"security", "platform-leads", "platform"}),
    }
    (rule,) = found.rules
    assert (rule.id, rule.verdict, rule.risk) == ("secrets", Verdict.REVIEW, Risk.HIGH)
    assert rule.requirements == (Requirement("security", 1),)
    assert (rule.timeout_ms, rule.on_timeout) == (600_000, OnTimeout.REJECT)
    assert rule.escalations == (Escalation(300_000, "platform-leads"),)
    assert found.routes == (
        Route("contractors", ("slack:C0SECURITY", "teams:19:abc@thread.tacv2")),
        Route("*", ("web",)),
    )
    assert len(found.tests) == 1


def test_the_example_of_the_design_passes_its_own_tests_and_only_warns_of_what_is_elsewhere() -> None:
    _, warnings = check_policy(EXAMPLE, "example.yaml")

    assert all(w.warning for w in warnings)
    said = [w.render("example.yaml") for w in warnings]
    assert [line for line in said if "has no entry under groups" in line] == [
        "example.yaml:10: warning: group 'platform' has no entry under groups: only keys and tokens can carry it",
        "example.yaml:10: warning: group 'compliance' has no entry under groups: only keys and tokens can carry it",
        (
            "example.yaml:22: warning: rule 'secrets': group 'platform-leads' has no entry under groups: "
            "only keys and tokens can carry it"
        ),
    ]
    assert not any("issuer" in line for line in said)


BAD_DOCUMENTS = {
    "": (0, "the document is empty: an empty policy would refuse everything"),
    "# nothing\n": (0, "the document is empty: an empty policy would refuse everything"),
    "version: 1\n---\nversion: 1\n": (2, "holds several documents (---): a policy is one"),
    "version: [1\n": (2, "is not valid YAML"),
    "a: \tb: c\n": (1, "is not valid YAML"),
    "version: 1\nx: \x07\n": (2, "is not valid YAML: it contains a character that YAML does not allow"),
    "- 1\n": (1, "the policy must be a mapping, not a list"),
    "version: 2\n": (1, "version 2 is unknown: this release reads version 1"),
    "defaults: {verdict: allow}\n": (1, "the policy lacks 'version'"),
    "version: '1'\n": (1, "version must be a whole number, not '1'"),
    "version: 1\nrulez: []\n": (2, "the policy has no field 'rulez': did you mean 'rules'?"),
    "version: 1\nversion: 1\n": (2, "the policy has 'version' twice (first in line 1)"),
    "version: 1\ndefaults: {verdict: !!python/name:os.system x}\n": (2, "must be text"),
    "version: 1\nx: &a [*a]\n": (2, "an alias refers to something that contains it"),
    "version: 1\nx: " + "[" * 50 + "]" * 50: (2, "is nested deeper than 40 levels"),
    "version: 1\n? [a]\n: b\n": (2, "a field's name must be text, not a list"),
    "version: 1\nbase: &b {a: 1}\n": (2, "the policy has no field 'base'"),
    "version: 1\ndefaults:\n  <<: {}\n": (3, "merge keys (<<) are not part of the policy language"),
}


@pytest.mark.parametrize(("text", "expected"), BAD_DOCUMENTS.items())
def test_what_is_no_policy_at_all_is_refused_with_its_line(text: str, expected: tuple[int, str]) -> None:
    line, said = expected
    assert any(found == line and said in message for found, _, message in problems_of(text)), problems_of(text)


def test_an_alias_bomb_is_refused_before_it_goes_off() -> None:
    levels = "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10))
    (found,) = problems_of(f"a0: &a0 [x, x]\n{levels}\n")
    assert "aliases written out" in found[2]


def test_a_chain_of_aliases_is_no_deeper_than_it_is_written_out() -> None:
    chain = "\n".join(f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 60))
    (found,) = problems_of(f"a0: &a0 [x]\n{chain}\n")
    assert "nested deeper" in found[2]


def test_a_document_of_any_size_is_not_even_parsed() -> None:
    (found,) = problems_of("# " + "x" * (4 * 1024 * 1024))
    assert "larger than 4 MiB" in found[2]


def test_the_parser_survives_what_would_overflow_its_stack() -> None:
    (found,) = problems_of("[" * 500_000)
    assert "nested deeper" in found[2]


BAD_SECTIONS = {
    "defaults: {verdict: modify}": "defaults.verdict cannot be 'modify'",
    "defaults: {verdict: alow}": "defaults.verdict cannot be 'alow': did you mean 'allow'?",
    "defaults: {verdict: allow, on_timeout: allow}": "defaults.on_timeout cannot be allow: only a rule itself may say so",
    "defaults: {verdict: allow, timeout: 10}": "defaults.timeout: '10' is not a duration: name the unit",
    "defaults: {verdict: allow, timeout: 5x}": "is not a duration",
    "defaults: {verdict: allow, timeout: 31d}": "must be longer than 0 and at most 30d",
    "defaults: {verdict: review}": "nobody may decide",
    "connections: {demo: {upstream: 'ftp://x', protocol: openai}}": "is not an http:// or https:// URL",
    "connections: {demo: {upstream: 'http://u:hunter2@x', protocol: openai}}": "carries a credential",
    "connections: {demo: {upstream: 'http://x?a=b', protocol: openai}}": "no query, fragment or white space",
    "connections: {demo: {upstream: 'http://x:port', protocol: openai}}": "is not a URL",
    "connections: {demo: {upstream: 'http://x', protocol: grpc}}": "protocol 'grpc' is not one of openai",
    "connections: {demo: {protocol: openai}}": "connection 'demo' lacks 'upstream'",
    "connections: {demo: {upstream: 'http://x', protocol: openai, credential: hunter2}}": "must be env:NAME",
    "connections: {De/mo: {upstream: 'http://x', protocol: openai}}": "the name is part of a URL",
    "connections: {holds: {upstream: 'http://x', protocol: openai}}": "the name is reserved for the gateway itself",
    "groups: {'*': {members: [a]}}": "not a name for a group",
    "groups: {a: {members: a}}": "group 'a': members must be a list, not text: write [a, b]",
    "groups: {a: {members: [1]}}": "must be text, not a number: put it in quotes",
    "groups: {a: {members: []}}": "is an empty list",
    "roles: {admin: [a]}": "roles has no field 'admin': did you mean 'admins'?",
    "issuers: [{issuer: 'https://x'}]": "issuer 'https://x' lacks 'audience'",
    "patterns: {cards: ['(?=x)']}": "patterns.cards: '(?=x)' uses look-around ((?=…)",
    "keywords: {bad: ['']}": "keywords.bad: '' is empty",
    "masks: [{name: card}]": "mask 'card' says nothing about what to mask",
    "masks: [{name: card, patterns: [nope]}]": "there is no set 'nope' under patterns",
    "routes: [{group: a, channels: [slak:C1]}]": "did you mean 'slack'?",
    "routes: [{group: a, channels: ['slack:']}]": "names no place: write slack:<id>",
    "routes: [{group: a, channels: ['email:sam']}]": "is not one e-mail address: write email:team@example.com",
    "routes: [{group: a, channels: ['email:dm:sam@example.com']}]": "is not one e-mail address",
    "routes: [{group: a, channels: ['email:a@example.com, b@example.com']}]": "is not one e-mail address",
    "routes: [{group: a, channels: [web]}, {group: a, channels: [web]}]": "the group 'a' has two routes",
    "tests: [{name: t, request: {}, expect: {}}]": "test 't' expects nothing",
    "tests: [{name: t, request: {at: noon}, expect: {verdict: allow}}]": "is not a time",
    "tests: [{name: t, request: {prompt: a, messages: []}, expect: {verdict: allow}}]": "not both",
}


@pytest.mark.parametrize(("section", "said"), BAD_SECTIONS.items())
def test_every_section_says_what_is_wrong_with_it(section: str, said: str) -> None:
    found = problems_of(f"version: 1\n{section}\n")
    assert any(line == 2 and said in message for line, _, message in found), found
    assert not any("hunter2" in message for _, _, message in found)


BAD_RULES = {
    "{verdict: block}": "a rule lacks 'id'",
    "{id: a}": "a rule lacks 'verdict'",
    "{id: 'a b', verdict: block}": "id is made of letters",
    "{id: default, verdict: block}": "id 'default' is reserved",
    "{id: a, verdict: reveiw}": "verdict cannot be 'reveiw': did you mean 'review'?",
    "{id: a, verdict: block, unless: {stream: true}}": "a rule has no field 'unless'",
    "{id: a, verdict: block, timeout: 5m}": "timeout belongs to verdict review, not block",
    "{id: a, verdict: review, modify: {redact: true}}": "modify belongs to verdict modify, not review",
    "{id: a, verdict: modify}": "verdict modify needs modify: {redact: true} or {replace: text}",
    "{id: a, verdict: modify, when: {stream: true}, modify: {redact: true}}": "there is nothing to replace",
    "{id: a, verdict: modify, when: {any: [{stream: true}, {prompt: {matches: [x]}}]}, modify: {redact: true}}": "there is nothing to replace",
    "{id: a, verdict: modify, when: {prompt: {matches: [x]}}, modify: {redact: true, replace: y}}": "modify is either",
    "{id: a, verdict: modify, when: {prompt: {matches: [x]}}, modify: {redact: false}}": "modify.redact can only be true",
    "{id: a, verdict: modify, when: {prompt: {matches: [x]}}, modify: {replace: xy}}": "matches the rule's own pattern again",
    "{id: a, verdict: review, on_timeout: escalate}": "on_timeout escalate needs escalate",
    "{id: a, verdict: review, reviewers: [{group: s}, {group: s}]}": "names the group 's' twice",
    "{id: a, verdict: review, reviewers: [{group: s, approvals: 0}]}": "approvals must be at least 1",
    "{id: a, verdict: review, reviewers: [{group: s, approvals: 99}]}": "approvals must be at most 20",
    "{id: a, verdict: review, reviewers: [{approvals: 1}]}": "an entry of reviewers lacks 'group'",
    "{id: a, verdict: review, escalate: [{after: soon, group: s}]}": "after: 'soon' is not a duration",
    "{id: a, verdict: block, enabled: maybe}": "enabled must be true or false, not 'maybe'",
    "{id: a, verdict: block, risk: extreme}": "risk cannot be 'extreme': it is one of low, medium, high",
    "{id: a, verdict: block, when: {promt: {}}}": "when has no field 'promt': did you mean 'prompt'?",
    "{id: a, verdict: block, when: {prompt: {}}}": "when.prompt is empty",
    "{id: a, verdict: block, when: {prompt: {matches: x}}}": "when.prompt.matches must be a list, not text",
    "{id: a, verdict: block, when: {prompt: {matches: ['[a']}}}": "'[a' is not a valid pattern: missing ]: [a",
    r"{id: a, verdict: block, when: {prompt: {matches: ['(a)\1']}}}": "uses a back-reference",
    "{id: a, verdict: block, when: {prompt: {matches: ['a)(b']}}}": "is not a valid pattern",
    "{id: a, verdict: block, when: {prompt: {matches: ['a{1001}']}}}": "repeats too often",
    "{id: a, verdict: block, when: {prompt: {patterns: [cards]}}}": "there is no set 'cards' under patterns",
    "{id: a, verdict: block, when: {prompt: {keyword_sets: [bad]}}}": "there is no set 'bad' under keywords",
    "{id: a, verdict: block, when: {prompt: {roles: [usr], matches: [x]}}}": "did you mean 'user'?",
    "{id: a, verdict: block, when: {connections: [dmo]}}": "no connection 'dmo': did you mean 'demo'?",
    "{id: a, verdict: block, when: {environments: [prod]}}": "no connection is in the environment 'prod'",
    "{id: a, verdict: block, when: {models: []}}": "when.models is an empty list",
    "{id: a, verdict: block, when: {stream: 1}}": "when.stream must be true or false",
    "{id: a, verdict: block, when: {prompt_tokens: {over: many}}}": "must be a whole number, not 'many'",
    "{id: a, verdict: block, when: {prompt_tokens: {over: 5, under: 6}}}": "nothing is over 5 and under 6",
    "{id: a, verdict: block, when: {prompt_tokens: {}}}": "name over or under",
    "{id: a, verdict: block, when: {prompt_tokens: {missing: true}}}": "has no field 'missing'",
    "{id: a, verdict: block, when: {size: {over: 5 parsecs}}}": "is not a size",
    "{id: a, verdict: block, when: {time: {zone: UTC}}}": "name days or between",
    "{id: a, verdict: block, when: {time: {days: [someday]}}}": "'someday' is not a day",
    "{id: a, verdict: block, when: {time: {between: ['9', '17:00']}}}": "'9' is not a time of day",
    "{id: a, verdict: block, when: {time: {between: ['09:00', '09:00']}}}": "the window is empty",
    "{id: a, verdict: block, when: {time: {between: ['09:00']}}}": "is two times",
    "{id: a, verdict: block, when: {time: {days: [mon], zone: Mars/Base}}}": "is not a time zone",
    "{id: a, verdict: block, when: {not: {}}}": "when.not is empty: it would hold for every request",
    "{id: a, verdict: block, when: {any: []}}": "when.any is an empty list",
    "{id: a, verdict: block, when: {any: [{}]}}": "when.any[0] is empty",
    "{id: a, verdict: block, when: {unless: {}}}": "when.unless is empty",
}


@pytest.mark.parametrize(("rule", "said"), BAD_RULES.items())
def test_every_field_of_a_rule_says_what_is_wrong_with_it(rule: str, said: str) -> None:
    found = problems_of(document(f"- {rule}"))
    line = document("- x").splitlines().index("  - x") + 1
    assert any(at == line and said in message for at, _, message in found), found


def test_all_problems_are_reported_at_once_with_file_line_and_rule() -> None:
    text = document("""
        - id: one
          verdict: blok
          when: {prompt: {matches: ['(?<!a)b', '[']}}
        - id: one
          verdict: review
          reviewers: [{group: security, approvals: none}]
          timeout: 10
    """)
    with pytest.raises(PolicyError) as raised:
        parse_policy(text, "p.yaml")
    first = HEAD.count("\n") + 2
    assert str(raised.value).splitlines() == [
        f"p.yaml:{first + 1}: rule 'one': verdict cannot be 'blok': did you mean 'block'?",
        (
            f"p.yaml:{first + 2}: rule 'one': when.prompt.matches: '(?<!a)b' uses look-around ((?<!…), "
            "which a linear-time engine cannot do: say it with `unless` or `not`"
        ),
        f"p.yaml:{first + 2}: rule 'one': when.prompt.matches: '[' is not a valid pattern: missing ]: [",
        f"p.yaml:{first + 3}: rule 'one': id 'one' is taken by the rule in line {first}",
        f"p.yaml:{first + 5}: rule 'one': approvals must be a whole number, not 'none'",
        f"p.yaml:{first + 6}: rule 'one': timeout: '10' is not a duration: name the unit, as in 45s, 10m, 1h30m or 2d",
    ]


WARNINGS = {
    "{id: a, verdict: block}": "has no conditions: it matches every request",
    "{id: a, verdict: block, when: {}}": "has no conditions: it matches every request",
    "{id: a, verdict: allow, when: {stream: true}}": "verdict allow changes nothing",
    "{id: a, verdict: review, on_timeout: allow}": "what nobody looks at in time is released",
    "{id: a, verdict: review, timeout: 5m, escalate: [{after: 5m, group: s}]}": "'s' never joins",
    "{id: a, verdict: block, when: {unless: {prompt: {matches: [x]}}}}": "can make this exception hold by its text",
    "{id: a, verdict: block, when: {prompt: {matches: ['a*']}}}": "matches every text",
}


@pytest.mark.parametrize(("rule", "said"), WARNINGS.items())
def test_what_is_valid_but_likely_not_meant_is_a_warning(rule: str, said: str) -> None:
    found = parse_policy(document(f"- {rule}")).warnings
    assert any(w.warning and said in w.message and w.rule == "a" for w in found), found


def test_a_double_exception_is_no_exception() -> None:
    found = parse_policy(document("- {id: a, verdict: block, when: {not: {not: {prompt: {matches: [x]}}}}}")).warnings
    assert not any("exception" in w.message for w in found)


def test_a_review_without_reviewers_falls_back_to_defaults_then_to_any_one_admin() -> None:
    rule = "- {id: a, verdict: review}"
    by_default = HEAD.replace("verdict: allow}", "verdict: allow, reviewers: [{group: security, approvals: 2}]}")
    (found,) = parse_policy(document(rule, by_default)).rules
    assert found.requirements == (Requirement("security", 2),)
    (found,) = parse_policy(document(rule, HEAD.replace("[platform]", "[platform, ops]"))).rules
    assert found.requirements == (Requirement("platform", 1, ("ops",)),)


def test_a_review_that_nobody_could_decide_is_a_problem() -> None:
    ((line, rule, said),) = problems_of("version: 1\nrules:\n- {id: a, verdict: review}\n")
    assert (line, rule) == (3, "a")
    assert "nobody may decide" in said


def test_a_disabled_rule_is_checked_but_not_in_force() -> None:
    assert parse_policy(document("- {id: a, verdict: block, enabled: false}")).rules == ()
    assert problems_of(document("- {id: a, verdict: blok, enabled: false}"))


def test_too_many_patterns_are_one_problem() -> None:
    words = ", ".join(f"w{n}" for n in range(10_001))
    found = problems_of(f"version: 1\nkeywords:\n  all: [{words}]\n")
    assert [message for _, _, message in found] == [
        "keywords.all: the document has more than 10000 patterns and keywords"
    ]


def test_patterns_that_are_too_large_together_are_one_problem() -> None:
    wide = ", ".join(f"'(?s)x{n}.{{900}}y.{{900}}z'" for n in range(300))
    found = problems_of(f"version: 1\npatterns:\n  wide: [{wide}]\n")
    assert [(line, message) for line, _, message in found] == [
        (3, "patterns.wide: all patterns together are too large once their counted repetitions are written out")
    ]


def test_members_are_lower_case_and_claims_are_as_they_stand() -> None:
    found = parse_policy("version: 1\ngroups: {a: {members: [Sam@Example.COM], claims: {groups: [X]}}}\n")
    assert found.groups["a"] == Group("a", frozenset({"sam@example.com"}), None, {"groups": ("X",)})
    assert not any("claims" in w.message for w in found.warnings)
