from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from holdpoint.errors import PolicyError
from holdpoint.model import (
    Escalation,
    OnTimeout,
    Part,
    PartRole,
    Requirement,
    Risk,
    Role,
    Span,
    Verdict,
)
from holdpoint.policy import Policy, compile_policy, parse_policy
from holdpoint.policy.condition_tree import Condition, TextTest
from holdpoint.policy.engine import LARGE_BODY_BYTES, LARGEST_AT_ONCE_BYTES, SMALL_BODY_BYTES
from holdpoint.policy.patterns import TextPattern
from holdpoint.policy.when import PROMPT_ROLES
from tests.holdpoint.policy.builders import (
    HEAD,
    MONDAY_NOON_MS,
    document,
    evaluate,
    marked,
    policy,
    policy_when,
    query,
    requester,
    rules_hit,
    starve,
)


def test_a_clean_query_is_allowed_and_names_the_version() -> None:
    found = evaluate(policy_when("{prompt: {matches: [secret]}}"), "hello")
    assert (found.verdict, found.hits, found.risk, found.policy_version) == (Verdict.ALLOW, (), Risk.LOW, 7)
    assert found.reason == ""


@pytest.mark.promise(1)
def test_no_policy_blocks_everything() -> None:
    found = evaluate(Policy.refuse_all(), "hello")
    assert (found.verdict, found.reason) == (Verdict.BLOCK, "no policy is loaded")
    assert Policy.refuse_all().connections == {}


@pytest.mark.promise(1)
def test_a_policy_that_names_no_default_blocks() -> None:
    compiled = compile_policy(parse_policy("version: 1\n"), 1)
    found = evaluate(compiled, "hello")
    assert (found.verdict, rules_hit(found)) == (Verdict.BLOCK, {"default"})


RULES = """
- {id: note, when: {prompt: {matches: [A]}}, verdict: allow, description: Noted}
- {id: soften, when: {prompt: {matches: [B]}}, verdict: modify, modify: {redact: true}, risk: low, description: Softened}
- {id: look, when: {prompt: {matches: [C]}}, verdict: review, risk: medium, description: Looked at}
- {id: look-again, when: {prompt: {matches: [C]}}, verdict: review, risk: high, description: Looked at again}
- {id: stop, when: {prompt: {matches: [D]}}, verdict: block, risk: low, description: Stopped}
"""


@pytest.mark.parametrize(
    ("prompt", "verdict", "hits", "risk", "reason"),
    [
        ("x", Verdict.ALLOW, [], Risk.LOW, ""),
        ("A", Verdict.ALLOW, ["note"], Risk.LOW, ""),
        ("A B", Verdict.MODIFY, ["note", "soften"], Risk.LOW, "Softened"),
        ("A B C", Verdict.REVIEW, ["note", "soften", "look", "look-again"], Risk.HIGH, "Looked at"),
        ("C D", Verdict.BLOCK, ["look", "look-again", "stop"], Risk.HIGH, "Stopped"),
    ],
)
def test_every_rule_is_evaluated_and_the_strictest_verdict_wins(
    prompt: str, verdict: Verdict, hits: list[str], risk: Risk, reason: str
) -> None:
    found = evaluate(policy(RULES), prompt)
    assert found.verdict is verdict
    assert [hit.rule for hit in found.hits] == hits
    assert (found.risk, found.reason) == (risk, reason)


def test_a_rule_without_description_is_named() -> None:
    assert evaluate(policy_when("{stream: false}"), "x").reason == "Rule r"


@pytest.mark.promise(8)
def test_the_reason_carries_nothing_of_the_prompt() -> None:
    found = evaluate(policy("- {id: r, when: {prompt: {matches: ['hunter\\d']}}, verdict: block}"), "it is hunter2")
    assert "hunter" not in found.reason


MERGED = """
- id: one
  when: {stream: false}
  verdict: review
  reviewers: [{group: security, approvals: 1}, {group: legal, approvals: 2}]
  timeout: 10m
  escalate: [{after: 5m, group: leads}]
  on_timeout: escalate
- id: two
  when: {stream: false}
  verdict: review
  reviewers: [{group: security, approvals: 2}]
  timeout: 20m
  escalate: [{after: 2m, group: night}, {after: 9m, group: leads}]
  on_timeout: allow
- {id: other, when: {stream: true}, verdict: review, reviewers: [{group: never, approvals: 9}], timeout: 1s}
"""


def test_the_demands_of_all_matching_review_rules_are_met_together() -> None:
    found = evaluate(policy(MERGED), "x")
    assert found.requirements == (Requirement("security", 2), Requirement("legal", 2))
    assert found.timeout_ms == 600_000
    assert found.escalations == (Escalation(120_000, "night"), Escalation(300_000, "leads"))
    assert found.on_timeout is OnTimeout.ESCALATE


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        (["allow"], OnTimeout.ALLOW),
        (["allow", "allow"], OnTimeout.ALLOW),
        (["allow", None], OnTimeout.REJECT),
        (["allow", "escalate"], OnTimeout.ESCALATE),
        (["escalate", "reject"], OnTimeout.REJECT),
        ([None], OnTimeout.REJECT),
    ],
)
def test_silence_is_consent_only_where_every_rule_says_so(outcomes: list[str | None], expected: OnTimeout) -> None:
    rules = "\n".join(
        f"- {{id: r{n}, when: {{stream: false}}, verdict: review, escalate: [{{after: 1m, group: g}}]"
        + (f", on_timeout: {outcome}}}" if outcome else "}")
        for n, outcome in enumerate(outcomes)
    )
    assert evaluate(policy(rules), "x").on_timeout is expected


def test_a_fallback_to_admins_gives_way_to_what_another_rule_asks_of_the_same_group() -> None:
    head = HEAD.replace("[platform]", "[platform, ops]")
    rules = """
        - {id: one, when: {stream: false}, verdict: review}
        - {id: two, when: {stream: false}, verdict: review, reviewers: [{group: platform, approvals: 2}]}
    """
    assert evaluate(policy(rules, head), "x").requirements == (Requirement("platform", 2),)


def test_a_block_asks_nobody() -> None:
    found = evaluate(policy(MERGED + "- {id: stop, when: {stream: false}, verdict: block}"), "x")
    assert (found.verdict, found.requirements, found.escalations, found.timeout_ms) == (Verdict.BLOCK, (), (), 0)


@pytest.mark.parametrize(
    ("defaults", "admins", "expected"),
    [
        ("verdict: allow", True, Verdict.REVIEW),
        ("verdict: allow, uninspectable: review", True, Verdict.REVIEW),
        ("verdict: allow, uninspectable: review", False, Verdict.BLOCK),
        ("verdict: allow, uninspectable: block", True, Verdict.BLOCK),
        ("verdict: allow, uninspectable: allow", True, Verdict.ALLOW),
        ("verdict: review, uninspectable: allow", True, Verdict.REVIEW),
    ],
)
def test_what_the_gateway_could_not_read_gets_the_verdict_of_the_defaults(
    defaults: str, expected: Verdict, *, admins: bool
) -> None:
    roles = "roles: {admins: [platform]}\n" if admins else ""
    compiled = compile_policy(parse_policy(f"version: 1\ndefaults: {{{defaults}}}\n{roles}"), 1)
    found = evaluate(compiled, query("x", uninspectable=("an image in messages/0",)))
    assert found.verdict is expected
    assert "uninspectable" in rules_hit(found)
    if expected is Verdict.REVIEW:
        assert found.requirements == (Requirement("platform", 1),)
        assert found.on_timeout is OnTimeout.REJECT


@pytest.mark.promise(1)
@pytest.mark.parametrize(
    ("uninspectable", "expected"),
    [("review", Verdict.REVIEW), ("block", Verdict.BLOCK), ("allow", Verdict.BLOCK)],
)
def test_an_inspection_that_failed_is_never_an_allow(uninspectable: str, expected: Verdict) -> None:
    head = HEAD.replace("verdict: allow", f"verdict: allow, uninspectable: {uninspectable}")
    rules = "- {id: r, when: {prompt: {matches: [x]}}, verdict: modify, modify: {redact: true}}"
    starved = evaluate(starve(policy(rules, head)), "hello")
    timed_out = policy(rules, head).evaluate(query("hello"), requester(), MONDAY_NOON_MS, uninspected="too slow")
    for found in (starved, timed_out):
        assert (found.verdict, rules_hit(found)) == (expected, {"uninspectable"})
        assert found.reason == "The request could not be inspected"


@pytest.mark.promise(1)
def test_rules_that_need_no_text_hold_when_the_inspection_fails_and_exceptions_by_text_do_not() -> None:
    compiled = starve(
        policy("""
            - {id: all, when: {stream: false}, verdict: review, reviewers: [{group: legal, approvals: 1}]}
            - {id: unless, when: {stream: false, unless: {prompt: {matches: [fine]}}}, verdict: block}
        """)
    )
    assert rules_hit(evaluate(compiled, "fine")) == {"all", "unless", "uninspectable"}


def test_a_default_of_review_asks_its_reviewers_beside_those_of_the_rules() -> None:
    head = HEAD.replace("verdict: allow", "verdict: review, reviewers: [{group: duty, approvals: 1}]")
    rules = "- {id: r, when: {prompt: {matches: [x]}}, verdict: review, reviewers: [{group: legal, approvals: 1}]}"
    found = evaluate(policy(rules, head), "x")
    assert found.requirements == (Requirement("legal", 1), Requirement("duty", 1))
    assert [hit.rule for hit in found.hits] == ["r", "default"]
    assert found.reason == "Rule r"


def test_spans_say_where_in_which_part() -> None:
    asked = query(messages=[(PartRole.SYSTEM, "no secret"), (PartRole.USER, "the secret key"), (PartRole.USER, "key")])
    found = evaluate(policy_when("{prompt: {matches: [secret, 'secret key', key]}}"), asked)
    assert found.hits[0].spans == (
        Span("messages/0/content", 3, 9),
        Span("messages/1/content", 4, 14),
        Span("messages/2/content", 0, 3),
    )


def test_spans_stay_within_the_roles_that_the_condition_names() -> None:
    asked = query(messages=[(PartRole.SYSTEM, "key"), (PartRole.USER, "a key"), (PartRole.ASSISTANT, "key")])
    found = evaluate(policy_when("{prompt: {roles: [user], matches: [key]}}"), asked)
    assert found.hits[0].spans == (Span("messages/1/content", 2, 5),)


def test_a_match_over_two_parts_marks_both() -> None:
    asked = query(messages=[(PartRole.USER, "my pass"), (PartRole.USER, "word is")])
    found = evaluate(policy_when("{prompt: {matches: ['pass\\s*word']}}"), asked)
    assert marked(found, asked, "r") == ["pass", "word"]


def pieces(*texts: str, role: PartRole = PartRole.USER) -> list[Part]:
    """The content of one message, in so many parts."""
    return [Part(f"messages/0/content/{place}/text", role, text) for place, text in enumerate(texts)]


@pytest.mark.promise(2)
@pytest.mark.parametrize(
    "parts",
    [
        pieces("my pass", "word is"),
        pieces("p", "a", "s", "s", "w", "o", "r", "d"),
        [Part("messages/0/content/0", PartRole.USER, "pass"), Part("messages/0/content/1/text", PartRole.USER, "word")],
        [*pieces("pass"), Part("messages/0/content/0/x", PartRole.PARAMETER, "-"), pieces("", "word")[1]],
        [Part(f"input/0/output/{place}/text", PartRole.TOOL, text) for place, text in enumerate(("pass", "word"))],
    ],
)
def test_a_word_in_two_parts_of_one_content_is_found(parts: list[Part]) -> None:
    """Chat templates that know parts print their texts with nothing in between."""
    asked = query(parts=tuple(parts))
    found = evaluate(policy_when("{prompt: {matches: ['\\bpassword\\b']}}"), asked)
    assert "".join(marked(found, asked, "r")) == "password"


def test_texts_of_different_contents_are_not_one() -> None:
    asked = query(messages=[(PartRole.USER, "pass"), (PartRole.USER, "word")])
    assert rules_hit(evaluate(policy_when("{prompt: {matches: [password]}}"), asked)) == set()
    apart = (*pieces("pass"), Part("messages/1/content/0/text", PartRole.USER, "word"))
    assert rules_hit(evaluate(policy_when("{prompt: {matches: [password]}}"), query(parts=apart))) == set()
    asked = query(parts=tuple(pieces("pass", "word", role=PartRole.SYSTEM)))
    assert rules_hit(evaluate(policy_when("{prompt: {roles: [user], matches: [password]}}"), asked)) == set()


def test_a_word_in_two_parts_is_replaced_in_both() -> None:
    asked = query(parts=tuple(pieces("my sec", "ret, a secret")))
    assert evaluate(modify(SECRET), asked).edits == {
        "messages/0/content/0/text": "my [redacted]", "messages/0/content/1/text": "[redacted], a [redacted]",
    }  # fmt: skip


@pytest.mark.promise(2)
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (r'{"q":"the admin\npassword is"}', ["password"]),  # behind the n there is no boundary of a word
        (r'{"q":"\u0070assword"}', [r"\u0070assword"]),
        (r'{"q":"p\u0430ssword"}', [r"p\u0430ssword"]),  # a Cyrillic letter
        (r'{"q":"pass\u200bword"}', [r"pass\u200bword"]),
        (r'{"q":"\\npassword"}', []),  # a backslash and an n
    ],
)
def test_what_a_tool_is_called_with_is_matched_as_the_model_sees_it(arguments: str, expected: list[str]) -> None:
    """It is JSON in a string: servers parse it, and print it without its escapes."""
    asked = query(parts=(Part("messages/0/tool_calls/0/function/arguments", PartRole.ASSISTANT, arguments),))
    found = evaluate(policy_when("{prompt: {matches: ['\\bpassword\\b']}}"), asked)
    assert marked(found, asked, "r") == expected


def test_what_a_tool_is_called_with_is_replaced_where_it_is_escaped() -> None:
    path = "messages/0/tool_calls/0/function/arguments"
    asked = query(parts=(Part(path, PartRole.ASSISTANT, r'{"q":"\ud83d\ude00 \u0073ecret\/"}'),))
    assert evaluate(modify(SECRET), asked).edits == {path: r'{"q":"\ud83d\ude00 [redacted]\/"}'}


def test_what_must_not_match_is_not_marked() -> None:
    asked = query("secret but fine")
    found = evaluate(policy_when("{prompt: {matches: [secret]}, not: {prompt: {matches: [never]}}}"), asked)
    assert marked(found, asked, "r") == ["secret"]


def modify(*rules: str) -> Policy:
    return policy("\n".join(rules))


SECRET = "- {id: m, when: {prompt: {matches: ['secret\\w*']}}, verdict: modify, modify: {redact: true}}"


@pytest.mark.promise(2)
@pytest.mark.parametrize(
    ("prompt", "edited"),
    [
        ("my secrets here", "my [redacted] here"),
        ("secret1 secret2", "[redacted] [redacted]"),
        ("sec\u200bret!", "[redacted]!"),
        ("secret and sеcret", "[redacted] and [redacted]"),  # the second е is Cyrillic
        ("é secret", "é [redacted]"),
    ],
)
def test_modify_puts_its_replacement_in_place_of_what_matched(prompt: str, edited: str) -> None:
    found = evaluate(modify(SECRET), prompt)
    assert found.verdict is Verdict.MODIFY
    assert found.edits == {"messages/0/content": edited}


def test_replace_may_be_any_text_or_none() -> None:
    rules = "- {id: m, when: {prompt: {matches: [' ?secret']}}, verdict: modify, modify: {replace: ''}}"
    assert evaluate(modify(rules), "my secret is").edits == {"messages/0/content": "my is"}


def test_only_the_parts_that_change_are_edited() -> None:
    asked = query(messages=[(PartRole.USER, "fine"), (PartRole.USER, "secret")])
    assert evaluate(modify(SECRET), asked).edits == {"messages/1/content": "[redacted]"}


def test_overlapping_matches_are_replaced_once_by_the_first_rule() -> None:
    rules = (
        "- {id: m1, when: {prompt: {matches: [secret key]}}, verdict: modify, modify: {replace: ONE}}",
        "- {id: m2, when: {prompt: {matches: [key card]}}, verdict: modify, modify: {replace: TWO}}",
    )
    assert evaluate(modify(*rules), "a secret key card, a key card").edits == {"messages/0/content": "a ONE, a TWO"}


def test_tool_definitions_are_modified_too() -> None:
    asked = query(parts=(Part("tools/0/function/description", PartRole.DEFINITION, "reads the secret"),))
    rules = "- {id: m, when: {tool_text: {matches: [secret]}}, verdict: modify, modify: {redact: true}}"
    assert evaluate(modify(rules), asked).edits == {"tools/0/function/description": "reads the [redacted]"}


def test_what_an_exception_matches_is_not_replaced() -> None:
    rules = (
        "- {id: m, when: {prompt: {matches: [secret]}, not: {prompt: {matches: [public]}}},"
        " verdict: modify, modify: {redact: true}}"
    )
    assert evaluate(modify(rules), "secret").edits == {"messages/0/content": "[redacted]"}
    assert evaluate(modify(rules), "secret public").edits == {}


def test_a_review_shows_the_modified_text_with_its_spans() -> None:
    asked = query("secret plan for Orion")
    found = evaluate(modify(SECRET, "- {id: r, when: {prompt: {matches: [Orion, secret]}}, verdict: review}"), asked)
    assert found.verdict is Verdict.REVIEW
    assert found.edits == {"messages/0/content": "[redacted] plan for Orion"}
    (span,) = next(hit.spans for hit in found.hits if hit.rule == "r")
    assert found.edits[span.path][span.start : span.end] == "Orion"


@pytest.mark.promise(1)
def test_a_review_stays_one_when_the_modification_removes_its_reason() -> None:
    found = evaluate(modify(SECRET, "- {id: r, when: {prompt: {matches: [secret]}}, verdict: review}"), "a secret")
    assert found.verdict is Verdict.REVIEW
    assert rules_hit(found) == {"m", "r"}


@pytest.mark.promise(1)
def test_a_text_that_only_the_modification_makes_forbidden_is_blocked() -> None:
    rules = "- {id: b, when: {prompt: {matches: ['x\\[redacted\\]x']}}, verdict: block}"
    found = evaluate(modify(SECRET.replace("\\w*", ""), rules), "xsecretx")
    assert (found.verdict, found.edits) == (Verdict.BLOCK, {})


def test_what_the_modification_itself_uncovers_is_modified_again() -> None:
    rules = "- {id: m, when: {prompt: {matches: [ab]}}, verdict: modify, modify: {replace: ''}}"
    assert evaluate(modify(rules), "aabb!").edits == {"messages/0/content": "!"}


@pytest.mark.promise(1)
def test_a_text_that_cannot_be_modified_clean_is_blocked() -> None:
    rules = "- {id: m, when: {prompt: {matches: [ab]}}, verdict: modify, modify: {replace: ''}}"
    found = evaluate(modify(rules), "a" * 9 + "b" * 9)
    assert (found.verdict, found.edits) == (Verdict.BLOCK, {})
    assert found.reason == "The request could not be modified safely"


def test_every_match_is_modified_however_many_there_are() -> None:
    found = evaluate(modify(SECRET), "secret " * 20_000)
    assert "secret" not in found.edits["messages/0/content"]


def test_members_of_the_policy_have_their_groups_whatever_their_key_says() -> None:
    compiled = policy(
        "- {id: r, when: {groups: [a]}, verdict: block}", HEAD + "groups: {a: {members: [dana@example.com]}}\n"
    )
    assert evaluate(compiled, "x").verdict is Verdict.BLOCK
    assert compiled.groups_of("dana@example.com") == {"a"}
    assert compiled.groups_of("Dana@Example.com") == {"a"}
    assert compiled.groups_of("kim@example.com") == frozenset()


def test_roles_come_from_groups() -> None:
    compiled = policy("- {id: r, verdict: review, reviewers: [{group: security}]}", HEAD)
    assert compiled.roles_of({"platform"}) == {Role.ADMIN, Role.REVIEWER}  # decides where a rule names nobody
    assert compiled.roles_of(["security", "x"]) == {Role.REVIEWER}
    assert compiled.roles_of([]) == frozenset()


MANY_INSTRUCTIONS = [f"[ab]{{{count}}}c" for count in range(980, 1000)]


@pytest.mark.parametrize(
    ("patterns", "body", "large"),
    [
        (["secret"], b"\xc3\xa9" * (LARGE_BODY_BYTES // 2), False),
        (["secret"], b"\xc3\xa9" * (LARGE_BODY_BYTES // 2) + b"x", True),
        (["secret"], b"x" * LARGEST_AT_ONCE_BYTES, False),
        (["secret"], b"x" * (LARGEST_AT_ONCE_BYTES + 1), True),
        (MANY_INSTRUCTIONS, b"x" * SMALL_BODY_BYTES, False),
        (MANY_INSTRUCTIONS, b"x" * (2 * SMALL_BODY_BYTES), True),
        ([], b"\xc3\xa9" * LARGEST_AT_ONCE_BYTES, False),
    ],
    ids=["not ASCII", "not ASCII, over 64 KiB", "ASCII", "ASCII, over 256 KiB", "many instructions", "many, 16 KiB", "nothing to look for"],
)  # fmt: skip
def test_what_may_take_long_is_for_a_thread(patterns: list[str], body: bytes, *, large: bool) -> None:
    compiled = policy_when(f"{{prompt: {{matches: {patterns}}}}}") if patterns else Policy.refuse_all()
    assert compiled.is_large(query("x", body=body)) is large


def test_many_threads_evaluate_at_once() -> None:
    compiled = policy(
        "\n".join(f"- {{id: r{n}, when: {{prompt: {{matches: ['w{n}x']}}}}, verdict: block}}" for n in range(50))
    )
    wrong: list[int] = []

    def work(offset: int) -> None:
        for turn in range(200):
            number = (turn * 7 + offset) % 50
            if rules_hit(evaluate(compiled, f"é w{number}x")) != {f"r{number}"}:
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(offset,)) for offset in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_patterns_that_the_engine_cannot_take_together_fail_the_push_not_the_request() -> None:
    found = parse_policy(document("- {id: r, when: {prompt: {matches: [x]}}, verdict: block}"))
    broken = replace(found.rules[0], when=Condition((TextTest(PROMPT_ROLES, (TextPattern("["),)),)))
    with pytest.raises(PolicyError, match="too large together"):
        compile_policy(replace(found, rules=(broken,)), 1)
