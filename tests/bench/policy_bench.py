"""What one `Policy.evaluate` costs: 50, 500 and 5,000 rules with a pattern each, over prompts of 2 KB and 100 KB.

Run it with ``python -m tests.bench.policy_bench``. Each number is the median of many calls on one thread, so it holds
for a warm engine on this machine; the first call of a policy builds its automaton and is printed apart. "hit" is a
prompt that three rules match (spans located); "non-ASCII" has accents and look-alikes, so it is matched three times.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable
from sys import stdout

from holdpoint.model import Part, PartRole, Query, Requester
from holdpoint.policy import Policy, compile_policy, parse_policy

_WORDS = [
    f"{a}{b}{c}"
    for a in ("ka", "lo", "mi", "re", "sun")
    for b in ("ta", "ver", "no", "pil")
    for c in ("d", "se", "nt", "ra")
]
_REQUESTER = Requester("dana@example.com", frozenset({"contractors"}))


def policy_of(rules: int) -> Policy:
    """A policy with ``rules`` rules, each with one pattern of the usual kind."""
    rng = random.Random(7)
    lines = ["version: 1", "defaults: {verdict: allow}", "roles: {admins: [platform]}", "rules:"]
    for number in range(rules):
        word = "".join(rng.choices("bcdfghjkqvwxz", k=6))
        lines += [
            f"  - id: rule-{number}",
            f"    when: {{prompt: {{matches: ['(?i)\\b({word}|secret{number})[ _-]?(key|id)\\b']}}, groups: [contractors]}}",
            "    verdict: review",
        ]
    return compile_policy(parse_policy("\n".join(lines)), 1)


def query_of(text: str) -> Query:
    parts = (
        Part("messages/0/content", PartRole.SYSTEM, "You are helpful."),
        Part("messages/1/content", PartRole.USER, text),
    )
    return Query("demo", "chat/completions", "m", parts, (), False, len(text), None, (), text.encode())


def prompt(characters: int) -> str:
    rng = random.Random(3)
    text = ""
    while len(text) < characters:
        text += " ".join(rng.choices(_WORDS, k=50)) + ". "
    return text[:characters]


def microseconds(call: Callable[[], object], *, seconds: float = 0.4) -> float:
    """Median over as many calls as fit."""
    taken = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(taken) < 5:
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken) * 1e6


def main() -> None:
    stdout.write(
        f"{'rules':>6} {'prompt':>7} {'compile':>9} {'first':>10} {'clean':>10} {'hit':>10} {'non-ASCII':>10}   (µs; compile in ms)\n"
    )
    for rules in (50, 500, 5_000):
        start = time.perf_counter()
        policy = policy_of(rules)
        compile_ms = (time.perf_counter() - start) * 1e3
        for characters in (2_000, 100_000):
            clean = query_of(prompt(characters))
            hit = query_of(prompt(characters - 60) + " secret1 key, secret7-id and secret42 key")
            foreign = query_of(prompt(characters - 100) + " Grüße aus München, naïve Überprüfung, рассылка")
            start = time.perf_counter()
            policy.evaluate(clean, _REQUESTER, 0)
            first = (time.perf_counter() - start) * 1e6
            row = [microseconds(lambda q=q, p=policy: p.evaluate(q, _REQUESTER, 0)) for q in (clean, hit, foreign)]
            stdout.write(
                f"{rules:>6} {characters // 1000:>5}KB {compile_ms:>9.1f} {first:>10.1f} "
                + " ".join(f"{us:>10.1f}" for us in row)
                + "\n"
            )


if __name__ == "__main__":
    main()
