"""Teams' limits as we keep them: never one call more than Microsoft's in any of its windows, the urgent ones first."""

from __future__ import annotations

import random

import pytest

from bot.teams.pace import CONVERSATION, Family, Pace, Rank, unavailable
from tests.conftest import MovingClock

# Microsoft's own, in milliseconds: https://learn.microsoft.com/microsoftteams/platform/bots/how-to/rate-limit
TEAMS = {
    Family.WRITE: ((1_000, 7), (2_000, 8), (30_000, 60), (3_600_000, 1_800)),
    Family.READ: ((1_000, 14), (2_000, 16), (30_000, 120), (3_600_000, 3_600)),
}


class Calls:
    """Makes calls as fast as the pace lets it, on a clock that jumps to the next allowed moment."""

    def __init__(self, clock: MovingClock) -> None:
        self.clock = clock
        self.pace = Pace(clock)
        self.made_ms: list[int] = []

    def call(
        self,
        family: Family = Family.WRITE,
        *,
        rank: Rank = Rank.FIRST,
        at: str = "c",
        tenant: str = "t",
        took_ms: int = 0,
    ) -> int:
        """Waits for its turn; returns the milliseconds waited."""
        wait = self.wait(family, rank=rank, at=at, tenant=tenant)
        self.clock.ms += wait
        self.pace.begun(family, at, tenant)
        self.made_ms.append(self.clock.ms)
        self.clock.ms += took_ms
        if family is Family.WRITE:
            self.pace.over(at)
        return wait

    def wait(self, family: Family = Family.WRITE, *, rank: Rank = Rank.FIRST, at: str = "c", tenant: str = "t") -> int:
        return self.pace.wait_ms(family, at, tenant, rank)


@pytest.fixture
def calls(clock: MovingClock) -> Calls:
    return Calls(clock)


def most_in(window_ms: int, made_ms: list[int]) -> int:
    return max(sum(start <= at < start + window_ms for at in made_ms) for start in made_ms)


@pytest.mark.parametrize("family", Family)
@pytest.mark.parametrize("rank", Rank)
def test_nobody_ever_makes_more_calls_than_teams_allows(calls: Calls, family: Family, rank: Rank) -> None:
    for _ in range(500):
        calls.call(family, rank=rank)
    for window_ms, most in TEAMS[family]:
        assert most_in(window_ms, calls.made_ms) < most


def test_an_hour_has_its_own_limit(calls: Calls) -> None:
    for _ in range(2_000):
        calls.call()
    assert most_in(3_600_000, calls.made_ms) == 1_620


def test_a_slow_write_counts_from_its_answer(calls: Calls) -> None:
    """Teams may have counted it at the very end: the next window begins there."""
    arrived: list[int] = []
    rng = random.Random(4)
    for _ in range(300):
        took = rng.randrange(0, 900)
        calls.call(took_ms=took)
        arrived.append(calls.made_ms[-1] + rng.randrange(0, took + 1))
    for window_ms, most in TEAMS[Family.WRITE]:
        assert most_in(window_ms, arrived) < most


def test_what_can_wait_leaves_room_for_what_cannot(calls: Calls) -> None:
    while not calls.wait(rank=Rank.LAST):
        calls.call(rank=Rank.LAST)
    assert len(calls.made_ms) == 4
    assert not calls.wait(rank=Rank.CARD)
    calls.call(rank=Rank.CARD)
    assert calls.wait(rank=Rank.CARD)
    assert not calls.wait(rank=Rank.FIRST)
    calls.call(rank=Rank.FIRST)
    assert calls.wait(rank=Rank.FIRST)


def test_over_half_a_minute_the_first_have_the_most(clock: MovingClock) -> None:
    """So many of each rank alone fit into half a minute."""
    found = {}
    for rank in Rank:
        calls = Calls(clock)
        start = clock.ms
        while clock.ms < start + 29_000:
            calls.call(rank=rank)
        found[rank] = most_in(30_000, calls.made_ms)
        clock.forward(seconds=3_600)
    assert found == {Rank.FIRST: 54, Rank.CARD: 45, Rank.LAST: 36}


def test_conversations_and_families_do_not_hold_each_other_up(calls: Calls) -> None:
    for _ in range(6):
        calls.call(at="one")
    assert calls.wait(at="one")
    assert not calls.wait(at="other")
    assert not calls.wait(Family.READ, at="one")


def test_a_tenant_has_a_limit_over_all_its_conversations(calls: Calls) -> None:
    for number in range(45):
        assert not calls.call(at=f"c{number}")
    assert 0 < calls.wait(at="new") <= 1_000
    assert not calls.wait(at="new", tenant="another")


def test_a_429_closes_its_conversation_for_as_long_as_teams_says(calls: Calls, clock: MovingClock) -> None:
    error = calls.pace.limited(Family.WRITE, "c", 12.5)
    assert error.retry_after_seconds == 12.5
    assert calls.wait() == 12_500
    assert not calls.wait(at="other")
    assert not calls.wait(Family.READ)
    calls.pace.limited(Family.WRITE, "c", 1)
    assert calls.wait() == 12_500, "a shorter word does not open it sooner"
    clock.forward(seconds=12.5)
    assert not calls.wait()


def test_a_clock_that_is_set_back_stops_nobody(calls: Calls, clock: MovingClock) -> None:
    for _ in range(6):
        calls.call()
    calls.pace.limited(Family.WRITE, "c", 60)
    assert calls.wait()
    clock.forward(seconds=-86_400)
    assert not calls.wait()


def test_no_word_of_teams_closes_a_conversation_for_longer_than_ten_minutes(calls: Calls) -> None:
    assert calls.pace.limited(Family.WRITE, "c", 1e9).retry_after_seconds == 600
    assert calls.wait() == 600_000


def test_what_is_remembered_has_an_end(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.teams.pace.MOST_CONVERSATIONS", 4)
    for number in range(6):
        calls.call(at="used")
        calls.wait(at=f"c{number}")
    assert calls.wait(at="used"), "who is used is not forgotten"
    for number in range(6):
        calls.wait(at=f"d{number}")
    assert not calls.wait(at="used")


def test_what_is_said_to_whom_must_come_back() -> None:
    error = unavailable(Family.READ, 1_234)
    assert error.retry_after_seconds == 1.234
    assert str(error) == "Teams takes no more questions in this conversation for a while"


def test_we_keep_a_margin_to_every_limit_of_teams() -> None:
    for family, limits in CONVERSATION.items():
        for (ours_ms, ours), (theirs_ms, theirs) in zip(limits, TEAMS[family], strict=True):
            assert ours_ms == theirs_ms
            assert ours < theirs
