"""`docs/policy.md` says what is true: its example passes, and every field has its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdpoint.model import OnTimeout, Risk, Verdict
from holdpoint.policy import check_policy, limits, own_tests, parse, rules, saml, schedule, when

DOCS = (Path(__file__).parents[3] / "docs" / "policy.md").read_text()


def test_the_example_of_the_docs_passes_its_own_tests() -> None:
    example = DOCS.split("```yaml\n")[1].split("```")[0]
    _, warnings = check_policy(example, "docs/policy.md")
    assert [w.message for w in warnings] == []


@pytest.mark.parametrize(
    "name",
    sorted(
        {
            *parse._FIELDS,
            *rules._FIELDS,
            *when._FIELDS,
            *when._TEXT_FIELDS,
            *own_tests._REQUEST,
            *own_tests._EXPECT,
            *limits._FIELDS,
            *saml._FIELDS,
        }
        | {*Verdict, *Risk, *OnTimeout, "roles", "over", "under", "missing", "days", "between", "zone"}
        | {
            "upstream",
            "protocol",
            "environment",
            "credential",
            "members",
            "slack_usergroup",
            "teams_team",
            "entra_group",
            "claims",
            "guests",
            "tenants",
        }
    ),
)
def test_every_field_and_word_stands_in_the_docs(name: str) -> None:
    assert name in DOCS


def test_the_default_time_of_tests_is_the_one_that_the_docs_name() -> None:
    assert own_tests._parse_time("2026-01-05T12:00:00Z") == own_tests.DEFAULT_AT_MS
    assert schedule.parse_duration("30d") == schedule.MAX_DURATION_MS
