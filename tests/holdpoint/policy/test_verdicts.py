from __future__ import annotations

import random
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from holdpoint.model import Escalation, OnTimeout, Requirement, Risk, RuleHit, Verdict
from holdpoint.policy.verdicts import Ruling, merge

GROUPS = st.sampled_from(["a", "b", "c"])
REQUIREMENTS = st.builds(
    Requirement, GROUPS, st.integers(1, 3), st.lists(GROUPS, max_size=2, unique=True).map(lambda g: tuple(sorted(g)))
)


@st.composite
def rulings(draw: st.DrawFn, position: int = 0) -> Ruling:
    return Ruling(
        position,
        RuleHit(f"r{position}", f"Rule number {position}", draw(st.sampled_from(Verdict)), draw(st.sampled_from(Risk))),
        tuple(draw(st.lists(REQUIREMENTS, min_size=1, max_size=3))),
        draw(st.integers(1, 9)),
        tuple(draw(st.lists(st.builds(Escalation, st.integers(1, 9), GROUPS), max_size=3))),
        draw(st.sampled_from(OnTimeout)),
    )


@st.composite
def many(draw: st.DrawFn) -> list[Ruling]:
    return [draw(rulings(position)) for position in range(draw(st.integers(0, 5)))]


@given(many(), st.randoms(use_true_random=False))
def test_the_order_in_which_rules_are_found_changes_nothing(found: list[Ruling], rng: random.Random) -> None:
    shuffled = found.copy()
    rng.shuffle(shuffled)
    assert merge(shuffled, 1) == merge(found, 1)


@given(many(), st.randoms(use_true_random=False))
def test_the_order_in_which_rules_are_written_changes_only_how_things_are_listed(
    found: list[Ruling], rng: random.Random
) -> None:
    places = list(range(len(found)))
    rng.shuffle(places)
    one = merge(found, 1)
    other = merge([replace(r, position=place) for r, place in zip(found, places, strict=True)], 1)
    for name in ("verdict", "risk", "timeout_ms", "on_timeout", "escalations"):
        assert getattr(one, name) == getattr(other, name)
    assert set(one.requirements) == set(other.requirements)
    assert set(one.hits) == set(other.hits)


_MILDNESS = [OnTimeout.REJECT, OnTimeout.ESCALATE, OnTimeout.ALLOW]


@given(many(), st.data())
def test_one_rule_more_is_never_less_safe(found: list[Ruling], data: st.DataObject) -> None:
    before = merge(found, 1)
    after = merge([*found, data.draw(rulings(len(found)))], 1)
    assert after.verdict.strictness >= before.verdict.strictness
    assert after.risk.height >= before.risk.height
    if before.verdict is after.verdict is Verdict.REVIEW:
        asked = {r.group: r for r in after.requirements}
        for requirement in before.requirements:
            assert asked[requirement.group].approvals >= requirement.approvals
            assert set(asked[requirement.group].alternates) <= set(requirement.alternates)
        assert after.timeout_ms <= before.timeout_ms
        assert _MILDNESS.index(after.on_timeout) <= _MILDNESS.index(before.on_timeout)
