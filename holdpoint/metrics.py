"""What Prometheus is told. Counting is one bump of a plain number; everything else happens when somebody scrapes.

::

    metrics = Metrics()
    metrics.requests["demo", Verdict.ALLOW] += 1
    metrics.upstream_seconds["demo"].observe(0.012)
    metrics.waiting = lambda: len(waiters)          # gauges take a number, or a callable that is asked at the scrape
    metrics.render()                                # the text format, with CONTENT_TYPE

Label values are names from the policy and words of closed enums, never anything that a request can choose: a client
could otherwise make the process grow without end, and put its text on a dashboard.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate
from typing import TypeVar

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

CONTENT_TYPE = CONTENT_TYPE_LATEST
"""The ``Content-Type`` of what `Metrics.render` returns."""

Value = float | Callable[[], float]
"""A gauge: its value, or who knows it."""

_K = TypeVar("_K", str, tuple[str, str])
_V = TypeVar("_V")

UPSTREAM_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
DECISION_BOUNDS = (1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 14400.0, 86400.0)
RELEASE_BOUNDS = (0.001, 0.002, 0.003, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)


class Histogram:
    """Counts per bucket and a sum, as plain numbers. ``bounds`` are upper bounds in seconds, ascending, without +Inf."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)  # the last one is +Inf
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.total += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """Cumulative, as Prometheus wants them: ``[("0.005", 3), …, ("+Inf", 7)]``."""
        names = [*(str(bound) for bound in self.bounds), "+Inf"]
        return list(zip(names, accumulate(self.counts), strict=True))


class Metrics:
    """All numbers of one process. Bump and set the attributes in place.

    ``worker`` becomes a label of every number: what tells it from the same number of the other workers.
    """

    def __init__(self, worker: str = "") -> None:
        self.requests: defaultdict[tuple[str, str], int] = defaultdict(int)
        """(connection, verdict) → requests that the policy judged."""
        self.refusals: defaultdict[str, int] = defaultdict(int)
        """refusal code → requests that were refused."""
        self.limited: defaultdict[str, int] = defaultdict(int)
        """limit → requests that it refused."""
        self.granted: defaultdict[str, int] = defaultdict(int)
        """connection → requests that a grant let pass; the policy's verdict on them is ``review``."""
        self.decisions: defaultdict[tuple[str, str], int] = defaultdict(int)
        """(channel, decision kind) → decisions that counted."""
        self.errors: defaultdict[str, int] = defaultdict(int)
        """where → unexpected errors, each with an id in the log."""

        self.upstream_seconds: defaultdict[str, Histogram] = defaultdict(lambda: Histogram(UPSTREAM_BOUNDS))
        """connection → from the first byte sent to the model to the first byte of its answer."""
        self.decision_seconds = Histogram(DECISION_BOUNDS)
        """From the start of a hold to the decision that ended its waiting."""
        self.release_seconds = Histogram(RELEASE_BOUNDS)
        """From the decision to the release."""

        self.waiting: Value = 0
        """Requests that wait in this process now."""
        self.holds: dict[str, Value] = {}
        """state → holds in Redis."""
        self.outbox_lag: dict[tuple[str, str], Value] = {}
        """(stream, consumer group) → events that the group has not acknowledged."""
        self.policy_version: Value = 0
        """The version that this process evaluates; 0 without a policy."""
        self.recorder_lag_seconds: Value = 0
        """Age of the oldest event that is not in the ledger yet."""

        self._registry = CollectorRegistry(auto_describe=False)
        for collector in (ProcessCollector(registry=None), _Collector(self)):
            self._registry.register(_Labelled(collector, worker) if worker else collector)

    def render(self) -> bytes:
        """Everything in Prometheus' text format."""
        return generate_latest(self._registry)


class _Labelled(Collector):
    """What another one collects, with the worker on every number."""

    def __init__(self, collector: Collector, worker: str) -> None:
        self._collector = collector
        self._label = {"worker": worker}

    def collect(self) -> Iterator[Metric]:
        for metric in self._collector.collect():
            metric.samples = [sample._replace(labels={**sample.labels, **self._label}) for sample in metric.samples]
            yield metric


class _Collector(Collector):
    """Turns the numbers into metric families, at the moment of a scrape."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        yield from _counters(self._metrics)
        yield from _histograms(self._metrics)
        yield from _gauges(self._metrics)


def _counters(metrics: Metrics) -> Iterator[Metric]:
    requests = CounterMetricFamily(
        "holdpoint_requests", "Requests by the policy's verdict", labels=("connection", "verdict")
    )
    for labels, count in _stable(metrics.requests):
        requests.add_metric(labels, count)
    yield requests
    refusals = CounterMetricFamily("holdpoint_refusals", "Requests refused, by code", labels=("code",))
    for code, count in _stable(metrics.refusals):
        refusals.add_metric((code,), count)
    yield refusals
    limited = CounterMetricFamily("holdpoint_limited", "Requests that a limit refused", labels=("limit",))
    for limit, count in _stable(metrics.limited):
        limited.add_metric((limit,), count)
    yield limited
    granted = CounterMetricFamily("holdpoint_granted", "Requests that a grant let pass", labels=("connection",))
    for connection, count in _stable(metrics.granted):
        granted.add_metric((connection,), count)
    yield granted
    decisions = CounterMetricFamily(
        "holdpoint_decisions", "Decisions that counted, by channel and kind", labels=("channel", "kind")
    )
    for labels, count in _stable(metrics.decisions):
        decisions.add_metric(labels, count)
    yield decisions
    errors = CounterMetricFamily("holdpoint_errors", "Unexpected errors, by place", labels=("where",))
    for where, count in _stable(metrics.errors):
        errors.add_metric((where,), count)
    yield errors


def _histograms(metrics: Metrics) -> Iterator[Metric]:
    upstream = HistogramMetricFamily(
        "holdpoint_upstream_seconds", "Time to the first byte of a model's answer", labels=("connection",)
    )
    for connection, histogram in _stable(metrics.upstream_seconds):
        upstream.add_metric((connection,), histogram.buckets(), histogram.total)
    yield upstream
    decision = metrics.decision_seconds
    yield HistogramMetricFamily(
        "holdpoint_decision_seconds",
        "Time from the start of a hold to its decision",
        buckets=decision.buckets(),
        sum_value=decision.total,
    )
    release = metrics.release_seconds
    yield HistogramMetricFamily(
        "holdpoint_release_seconds",
        "Time from a decision to the release",
        buckets=release.buckets(),
        sum_value=release.total,
    )


def _gauges(metrics: Metrics) -> Iterator[Metric]:
    yield GaugeMetricFamily("holdpoint_waiting_requests", "Requests that wait now", value=_read(metrics.waiting))
    holds = GaugeMetricFamily("holdpoint_holds", "Holds in Redis, by state", labels=("state",))
    for state, value in _stable(metrics.holds):
        holds.add_metric((state,), _read(value))
    yield holds
    lag = GaugeMetricFamily(
        "holdpoint_outbox_lag_events", "Events not acknowledged, by consumer group", labels=("stream", "group")
    )
    for labels, value in _stable(metrics.outbox_lag):
        lag.add_metric(labels, _read(value))
    yield lag
    yield GaugeMetricFamily(
        "holdpoint_policy_version", "Version of the policy in force; 0: none", value=_read(metrics.policy_version)
    )
    yield GaugeMetricFamily(
        "holdpoint_recorder_lag_seconds",
        "Age of the oldest event that is not in the ledger",
        value=_read(metrics.recorder_lag_seconds),
    )


def _stable(numbers: Mapping[_K, _V]) -> list[tuple[_K, _V]]:
    """The items in a stable order, so that two scrapes can be compared."""
    return sorted(numbers.items(), key=lambda item: item[0])


def _read(value: Value) -> float:
    return value() if callable(value) else value
