from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from holdpoint.metrics import CONTENT_TYPE, RELEASE_BOUNDS, Histogram, Metrics
from holdpoint.model import DecisionKind, RefusalCode, State, Verdict


def samples(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """What Prometheus would read: (name, labels) → value."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
    }


def filled() -> Metrics:
    metrics = Metrics()
    metrics.requests["demo", Verdict.ALLOW] += 2
    metrics.refusals[RefusalCode.BLOCKED] += 1
    metrics.granted["demo"] += 4
    metrics.decisions["slack", DecisionKind.APPROVE] += 1
    metrics.errors["proxy"] += 1
    metrics.upstream_seconds["demo"].observe(0.02)
    metrics.decision_seconds.observe(40)
    metrics.release_seconds.observe(0.002)
    metrics.waiting = lambda: 5
    metrics.holds[State.PENDING] = 4
    metrics.outbox_lag["events", "recorder"] = lambda: 9
    metrics.policy_version = 3
    metrics.recorder_lag_seconds = 1.5
    return metrics


@pytest.mark.parametrize(
    ("name", "labels", "value"),
    [
        ("holdpoint_requests_total", (("connection", "demo"), ("verdict", "allow")), 2),
        ("holdpoint_refusals_total", (("code", "blocked"),), 1),
        ("holdpoint_granted_total", (("connection", "demo"),), 4),
        ("holdpoint_decisions_total", (("channel", "slack"), ("kind", "approve")), 1),
        ("holdpoint_errors_total", (("where", "proxy"),), 1),
        ("holdpoint_upstream_seconds_count", (("connection", "demo"),), 1),
        ("holdpoint_upstream_seconds_bucket", (("connection", "demo"), ("le", "0.01")), 0),
        ("holdpoint_upstream_seconds_bucket", (("connection", "demo"), ("le", "0.025")), 1),
        ("holdpoint_decision_seconds_sum", (), 40),
        ("holdpoint_release_seconds_bucket", (("le", "0.002"),), 1),
        ("holdpoint_waiting_requests", (), 5),
        ("holdpoint_holds", (("state", "pending"),), 4),
        ("holdpoint_outbox_lag_events", (("group", "recorder"), ("stream", "events")), 9),
        ("holdpoint_policy_version", (), 3),
        ("holdpoint_recorder_lag_seconds", (), 1.5),
    ],
)
def test_each_number_is_rendered_under_its_name(name: str, labels: tuple[tuple[str, str], ...], value: float) -> None:
    assert samples(filled())[name, labels] == value


def test_a_bound_belongs_to_its_bucket_and_what_is_above_all_bounds_to_the_last() -> None:
    histogram = Histogram((1.0, 2.0))
    for seconds in (0.5, 1.0, 1.5, 2.0, 99.0):
        histogram.observe(seconds)
    assert histogram.buckets() == [("1.0", 2), ("2.0", 4), ("+Inf", 5)]
    assert histogram.total == 104.0


def test_callables_are_asked_at_each_scrape() -> None:
    metrics = Metrics()
    waiting = [1, 2, 3]
    metrics.waiting = lambda: len(waiting)
    assert samples(metrics)["holdpoint_waiting_requests", ()] == 3
    waiting.pop()
    assert samples(metrics)["holdpoint_waiting_requests", ()] == 2


def test_every_name_is_ours_or_the_process_s_and_two_instances_do_not_meet() -> None:
    assert all(name.startswith(("holdpoint_", "process_")) for name, _ in samples(filled()))
    assert ("holdpoint_errors_total", (("where", "proxy"),)) not in samples(Metrics())


def test_the_release_buckets_can_prove_the_target_of_three_milliseconds() -> None:
    assert 0.003 in RELEASE_BOUNDS
    assert CONTENT_TYPE.startswith("text/plain")
