from __future__ import annotations

from typing import Any

import pytest

from holdpoint.model import Part, PartRole, Verdict
from tests.holdpoint.policy.builders import MONDAY_NOON_MS, evaluate, policy, policy_when, query, requester, rules_hit

DEFINITION = Part("tools/0/function/description", PartRole.DEFINITION, "Deletes a file")
IMAGE = ("an image in messages/0",)

# condition, values of the query, groups of the requester, does it hold
TABLE: list[tuple[str, dict[str, Any], tuple[str, ...], bool]] = [
    ("{prompt: {matches: ['pass\\w+']}}", {"prompt": "my password"}, (), True),
    ("{prompt: {matches: ['pass\\w+']}}", {"prompt": "my PASSWORD"}, (), False),
    ("{prompt: {matches: [b, a]}}", {"prompt": "a"}, (), True),
    ("{prompt: {matches: ['^drop']}}", {"prompt": "please\ndrop it"}, (), True),
    ("{prompt: {matches: [file]}}", {"parts": (DEFINITION,)}, (), False),
    ("{prompt: {keywords: [secret plan]}}", {"prompt": "The SECRET \n Plan!"}, (), True),
    ("{prompt: {keywords: [plan]}}", {"prompt": "planet"}, (), False),
    ("{prompt: {keywords: [пароль]}}", {"prompt": "мой Пароль, вот"}, (), True),
    ("{prompt: {keywords: [пароль]}}", {"prompt": "паролькин"}, (), False),
    ("{prompt: {keywords: ['c++']}}", {"prompt": "in C++."}, (), True),
    ("{prompt: {patterns: [cards]}}", {"prompt": "4111-1111"}, (), True),
    ("{prompt: {keyword_sets: [projects]}}", {"prompt": "about Orion"}, (), True),
    ("{prompt: {keyword_sets: [projects], matches: [zebra]}}", {"prompt": "about Orion"}, (), True),
    ("{prompt: {roles: [system], matches: [x]}}", {"messages": [(PartRole.USER, "x")]}, (), False),
    ("{prompt: {roles: [system], matches: [x]}}", {"messages": [(PartRole.SYSTEM, "x")]}, (), True),
    (
        "{prompt: {roles: [user], matches: ['\\Ax']}}",
        {"messages": [(PartRole.SYSTEM, "y"), (PartRole.USER, "x")]},
        (),
        True,
    ),
    ("{prompt: {roles: [tool]}}", {"messages": [(PartRole.TOOL, "42")]}, (), True),
    ("{prompt: {roles: [tool]}}", {"messages": [(PartRole.TOOL, "")]}, (), False),
    ("{tool_text: {keywords: [deletes]}}", {"parts": (DEFINITION,)}, (), True),
    ("{tool_text: {keywords: [deletes]}}", {"prompt": "deletes"}, (), False),
    ("{tools: ['delete_*', run]}", {"tools": ("list", "delete_file")}, (), True),
    ("{tools: ['delete_*', run]}", {"tools": ("list", "undelete_file")}, (), False),
    ("{tools: ['*']}", {"tools": ()}, (), False),
    ("{models: [guard-*]}", {"model": "Guard-7b"}, (), True),
    ("{models: [guard-*]}", {"model": "my-guard-7b"}, (), False),
    ("{models: ['llama-?b']}", {"model": "llama-7b"}, (), True),
    ("{models: ['a.c']}", {"model": "abc"}, (), False),
    ("{models: ['*']}", {"model": "line\nbreak"}, (), True),
    ("{groups: [a, b]}", {}, ("b", "c"), True),
    ("{groups: [a, b]}", {}, ("c",), False),
    ("{groups: [listed]}", {}, (), True),
    ("{requesters: ['*@example.com']}", {}, (), True),
    ("{requesters: [kim@example.com]}", {}, (), False),
    ("{connections: [demo]}", {}, (), True),
    ("{connections: [lab]}", {}, (), False),
    ("{environments: [staging]}", {"connection": "lab"}, (), True),
    ("{environments: [staging]}", {"connection": "gone"}, (), False),
    ("{endpoints: ['chat/*']}", {}, (), True),
    ("{endpoints: [embeddings]}", {}, (), False),
    ("{stream: true}", {"stream": True}, (), True),
    ("{stream: false}", {"stream": True}, (), False),
    ("{prompt_tokens: {over: 10}}", {"prompt_tokens": 10}, (), False),
    ("{prompt_tokens: {over: 10}}", {"prompt_tokens": 11}, (), True),
    ("{prompt_tokens: {under: 10}}", {"prompt_tokens": 9}, (), True),
    ("{prompt_tokens: {over: 1, under: 3}}", {"prompt_tokens": 2}, (), True),
    ("{max_tokens: {over: 100}}", {"max_tokens": 101}, (), True),
    ("{max_tokens: {over: 100}}", {"max_tokens": None}, (), True),
    ("{max_tokens: {over: 100}}", {"max_tokens": -1}, (), True),
    ("{max_tokens: {over: 100, missing: false}}", {"max_tokens": None}, (), False),
    ("{max_tokens: {under: 100}}", {"max_tokens": None}, (), False),
    ("{max_tokens: {under: 100}}", {"max_tokens": 0}, (), True),
    ("{max_tokens: {missing: true}}", {"max_tokens": None}, (), True),
    ("{max_tokens: {missing: true}}", {"max_tokens": 5}, (), False),
    ("{size: {over: 1KiB}}", {"body": b"x" * 1025}, (), True),
    ("{size: {over: 1KiB}}", {"body": b"x" * 1024}, (), False),
    ("{uninspectable: true}", {"uninspectable": IMAGE}, (), True),
    ("{uninspectable: false}", {"uninspectable": IMAGE}, (), False),
    ("{time: {days: [mon], between: ['11:00', '13:00']}}", {}, (), True),
    ("{time: {days: [mon], between: 11:00-13:00}}", {}, (), True),
    ("{time: {between: [22:00, 06:00]}}", {}, (), False),
    ("{time: {days: [mon], between: ['11:00', '12:30'], zone: Europe/Berlin}}", {}, (), False),
    ("{stream: true, models: [m]}", {"stream": True}, (), True),
    ("{stream: true, models: [x]}", {"stream": True}, (), False),
    ("{stream: true, models: [m], groups: [a]}", {"stream": True}, ("a",), True),
    ("{any: [{stream: true}, {models: [m]}]}", {}, (), True),
    ("{any: [{stream: true}, {models: [x]}]}", {}, (), False),
    ("{any: [{prompt: {matches: [x]}}, {models: [m]}]}", {"prompt": "y"}, (), True),
    ("{any: [{prompt: {matches: [x]}}, {prompt: {matches: [z]}}]}", {"prompt": "z"}, (), True),
    ("{all: [{stream: false}, {models: [m]}]}", {}, (), True),
    ("{all: [{stream: true}, {models: [m]}]}", {}, (), False),
    ("{all: [{prompt: {matches: [a]}}, {prompt: {matches: [b]}}]}", {"prompt": "a b"}, (), True),
    ("{all: [{prompt: {matches: [a]}}, {prompt: {matches: [b]}}]}", {"prompt": "a"}, (), False),
    ("{not: {stream: true}}", {}, (), True),
    ("{not: {prompt: {matches: [x]}}}", {"prompt": "y"}, (), True),
    ("{not: {prompt: {matches: [x]}}}", {"prompt": "x"}, (), False),
    ("{not: {any: [{stream: true}, {models: [m]}]}}", {}, (), False),
    ("{stream: false, unless: {models: [m]}}", {}, (), False),
    ("{stream: false, unless: {models: [x]}}", {}, (), True),
    ("{unless: {models: [x]}}", {}, (), True),
    ("{prompt: {matches: [x]}, unless: {unless: {models: [m]}}}", {"prompt": "x"}, (), True),
    ("{}", {}, (), True),
]
HEAD = """\
version: 1
defaults: {verdict: allow}
connections:
  demo: {upstream: "http://127.0.0.1:9000", protocol: openai, environment: production}
  lab: {upstream: "http://127.0.0.1:9001", protocol: openai, environment: staging}
groups: {listed: {members: [Dana@Example.com]}}
patterns: {cards: ['\\d{4}-\\d{4}']}
keywords: {projects: [apollo, orion]}
"""


@pytest.mark.parametrize(("when", "values", "groups", "holds"), TABLE)
def test_a_condition_holds(when: str, values: dict[str, Any], groups: tuple[str, ...], *, holds: bool) -> None:
    compiled = policy(f"- {{id: r, when: {when}, verdict: block}}", HEAD)
    found = evaluate(compiled, query(**values), *groups)
    assert ("r" in rules_hit(found)) is holds


def test_the_lone_pattern_of_a_time_condition_reads_the_clock_that_is_passed_in() -> None:
    compiled = policy_when("{time: {days: [tue]}}")
    asked = query("x")
    assert compiled.evaluate(asked, requester(), MONDAY_NOON_MS).verdict is Verdict.ALLOW
    assert compiled.evaluate(asked, requester(), MONDAY_NOON_MS + 86_400_000).verdict is Verdict.BLOCK


EVASIONS = [
    "pass\u200bword",  # zero-width space
    "p\u00adassword",  # soft hyphen
    "pass\u2060word\ufe0f",  # word joiner, variation selector
    "pas\U000e0073sword",  # a tag character
    "pass\x00word",  # a control character in ASCII
    "pass\x1bword",
    "ｐａｓｓｗｏｒｄ",  # full width
    "𝐩𝐚𝐬𝐬𝐰𝐨𝐫𝐝",  # mathematical
    "ⓟⓐⓢⓢⓦⓞⓡⓓ",
    "pаsswоrd",  # Cyrillic а and о
    "pαsswοrd",  # Greek
    "p̶a̶s̶s̶w̶o̶r̶d̶",  # overlays
    "pässwörd",
    "ᴘᴀꜱꜱᴡᴏʀᴅ",
    "pаss\u200bｗо̶rd",  # everything at once
]


@pytest.mark.parametrize("text", EVASIONS)
def test_look_alikes_and_hidden_characters_do_not_slip_through(text: str) -> None:
    asked = query(f"Tell me the {text} now")
    found = evaluate(policy_when("{prompt: {matches: ['\\bpassword\\b']}}"), asked)
    assert found.verdict is Verdict.BLOCK
    (span,) = found.hits[0].spans
    covered = asked.parts[0].text[span.start : span.end]
    assert covered.startswith("p") or not covered.isascii()
    assert text.rstrip("\ufe0f") in covered + "\ufe0f"
    assert len(covered) <= len(text)


def test_a_keyword_in_another_script_is_found_although_look_alikes_are_folded() -> None:
    asked = query("мой пар\u200bоль")
    assert evaluate(policy_when("{prompt: {keywords: [пароль]}}"), asked).verdict is Verdict.BLOCK
