"""How much is measured. Every count and every time is bounded here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """Rounds of ``seconds`` each per target and connection count; ``requests`` bounds a run where it is set."""

    name: str
    rounds: int
    seconds: int
    connections: tuple[int, ...]
    rules: tuple[int, ...]
    everysec_rules: tuple[int, ...]  # the rule counts that are measured with the faster fsync as well
    stream_connections: tuple[int, ...]
    stream_rounds: int
    large_rounds: int  # of the 100 KB body, with the connections of the streams; JSON and streams
    swaps: int  # of the policy, under load
    workers: tuple[int, ...]
    holds: tuple[int, ...]
    decisions: int
    cards: int
    peers: bool = False  # also other gateways, where they are installed
    requests: int | None = None  # only the smoke test: so many per run, whatever the time

    @property
    def warm_up(self) -> int | None:
        """Requests of a warm-up; None: a second."""
        return None if self.requests is None else 20


FULL = Plan(
    name="full",
    rounds=5,
    seconds=2,
    connections=(1, 32, 256),
    rules=(0, 50, 500, 5_000),
    everysec_rules=(0, 50, 500, 5_000),
    stream_connections=(32,),
    stream_rounds=5,
    large_rounds=5,
    swaps=10,
    workers=(1, 2),
    holds=(1_000, 10_000),
    decisions=200,
    cards=500,
)
QUICK = Plan(
    name="quick",
    rounds=2,
    seconds=1,
    connections=(1, 32, 256),
    rules=(0, 50, 500, 5_000),
    everysec_rules=(50,),
    stream_connections=(32,),
    stream_rounds=1,
    large_rounds=1,
    swaps=3,
    workers=(1, 2),
    holds=(1_000,),
    decisions=100,
    cards=100,
)
TINY = Plan(
    name="tiny",
    rounds=1,
    seconds=1,
    connections=(1, 4),
    rules=(0, 50),
    everysec_rules=(),
    stream_connections=(4,),
    stream_rounds=1,
    large_rounds=1,
    swaps=1,
    workers=(1,),
    holds=(20,),
    decisions=5,
    cards=5,
    requests=40,
)
