"""The targets of the throughput part: what was asked, what came out, by how much. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tests.bench.load import Load
from tests.bench.peers import LITELLM, PORTKEY
from tests.bench.plan import Plan
from tests.bench.report import Verdict
from tests.bench.targets import DIRECT, NGINX, gateway_name

_RULES = 50
_ALL_RECORDED = (
    "nginx records nothing: ours waits for its record in Redis before the model is asked and before the answer ends"
)


@dataclass(frozen=True, slots=True)
class Sample:
    """One short run. ``cpu`` is the target's CPU time in seconds."""

    load: Load
    cpu: float


Samples = Mapping[tuple[str, int], Sequence[Sample]]


def ratio(samples: Samples, one: str, other: str, connections: int) -> float | None:
    """The median, over the rounds, of ``one``'s throughput divided by ``other``'s in the same round.

    None: not measured, or ``other`` had no answer to compare with.
    """
    rounds = zip(samples.get((one, connections), ()), samples.get((other, connections), ()), strict=False)
    found = [ours.load.per_second / theirs.load.per_second for ours, theirs in rounds if theirs.load.good]
    return statistics.median(found) if found else None


def verdicts(plain: Samples, streams: Samples, plan: Plan) -> list[Verdict]:
    """Of the gateway with 50 rules, with each fsync that was measured. Only what could be measured is judged."""
    kinds = [name for name, rules in (("always", plan.rules), ("everysec", plan.everysec_rules)) if _RULES in rules]
    found: list[Verdict | None] = []
    for fsync in kinds:
        ours = gateway_name(_RULES, fsync)
        middle, most = (32 if 32 in plan.connections else max(plan.connections)), max(plan.connections)
        few = min(plan.connections)
        found += [
            _at_least(
                0.40, ratio(plain, ours, NGINX, middle), f"of nginx's requests, fsync {fsync}, {middle} connections"
            ),
            _at_least(
                100, ratio(plain, ours, LITELLM, middle), f"times LiteLLM's, fsync {fsync}, {middle} connections"
            ),
            _at_least(20, ratio(plain, ours, PORTKEY, middle), f"times Portkey's, fsync {fsync}, {middle} connections"),
            _at_most(2.5, _added(plain, ours, few), f"times nginx's added latency, fsync {fsync}, {few} connection"),
            _at_most(3, _tail(plain, ours, most), f"times nginx's p99, fsync {fsync}, {most} connections"),
        ]
        for clients in plan.stream_connections:
            kept = ratio(streams, ours, NGINX, clients)
            found.append(_at_least(0.40, kept, f"of nginx's streams, fsync {fsync}, {clients} connections"))
    return [verdict for verdict in found if verdict is not None]


def _median(samples: Samples, name: str, clients: int, of: Callable[[Load], float]) -> float | None:
    mine = samples.get((name, clients), ())
    return statistics.median(of(each.load) for each in mine) if mine else None


def _added(samples: Samples, ours: str, clients: int) -> float | None:
    """What we add to the p50 of asking the upstream directly, divided by what nginx adds."""
    mine, other, direct = (_median(samples, name, clients, lambda load: load.p50) for name in (ours, NGINX, DIRECT))
    if mine is None or other is None or direct is None:
        return None
    return (mine - direct) / max(other - direct, 1e-6)


def _tail(samples: Samples, ours: str, clients: int) -> float | None:
    mine, other = (_median(samples, name, clients, lambda load: load.p99) for name in (ours, NGINX))
    return None if mine is None or other is None else mine / max(other, 1e-6)


def _at_least(asked: float, measured: float | None, what: str) -> Verdict | None:
    if measured is None:
        return None
    return Verdict(f"≥ {asked:g} {what}", f"{measured:.2f}", measured >= asked, _by(asked, measured), _ALL_RECORDED)


def _at_most(asked: float, measured: float | None, what: str) -> Verdict | None:
    if measured is None:
        return None
    return Verdict(f"≤ {asked:g} {what}", f"{measured:.2f}", measured <= asked, _by(asked, measured), _ALL_RECORDED)


def _by(asked: float, measured: float) -> str:
    return f"{(measured / asked - 1) * 100:+.0f} %"
