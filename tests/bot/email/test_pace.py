from __future__ import annotations

import pytest

from bot.email import pace
from bot.email.pace import GAP_MS, MOST, SPARED, WINDOW_MS, Pace
from holdpoint.errors import ChannelUnavailable
from tests.conftest import MovingClock

WHO, OTHER = "a@corp.test", "b@corp.test"


def refused(kept: Pace, address: str = WHO, *, can_wait: bool = False) -> float:
    with pytest.raises(ChannelUnavailable) as caught:
        kept.take(address, can_wait=can_wait)
    assert caught.value.retry_after_seconds is not None
    return caught.value.retry_after_seconds


def test_one_mail_in_five_seconds_for_each_address(clock: MovingClock) -> None:
    kept = Pace(clock)
    kept.take(WHO, can_wait=False)
    kept.take(OTHER, can_wait=False)
    clock.forward(seconds=2)
    assert refused(kept) == pytest.approx(3)
    clock.forward(seconds=3)
    kept.take(WHO, can_wait=False)


def test_thirty_in_ten_minutes_and_updates_leave_a_third(clock: MovingClock) -> None:
    kept = Pace(clock)
    for _ in range(MOST - SPARED):
        kept.take(WHO, can_wait=True)
        clock.forward(seconds=GAP_MS / 1000)
    assert refused(kept, can_wait=True) == pytest.approx((WINDOW_MS - 20 * GAP_MS) / 1000)
    for _ in range(SPARED):
        kept.take(WHO, can_wait=False)
        clock.forward(seconds=GAP_MS / 1000)
    assert refused(kept) == pytest.approx((WINDOW_MS - 30 * GAP_MS) / 1000)
    clock.forward(seconds=(WINDOW_MS - 30 * GAP_MS) / 1000)
    kept.take(WHO, can_wait=False)


def test_a_clock_that_is_set_back_stops_nobody(clock: MovingClock) -> None:
    kept = Pace(clock)
    for _ in range(MOST):
        kept.take(WHO, can_wait=False)
        clock.forward(seconds=GAP_MS / 1000)
    clock.forward(seconds=-86_400)
    kept.take(WHO, can_wait=True)


def test_what_was_not_sent_is_given_back(clock: MovingClock) -> None:
    kept = Pace(clock)
    kept.give_back(WHO, kept.take(WHO, can_wait=False))
    kept.take(WHO, can_wait=False)
    kept.give_back(OTHER, 1)


def test_addresses_are_forgotten_in_time(clock: MovingClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "_MOST_ADDRESSES", 2)
    kept = Pace(clock)
    for number in range(3):
        kept.take(f"{number}@corp.test", can_wait=False)
    assert len(kept._sent_at) == 3
    clock.forward(seconds=WINDOW_MS / 1000 + 1)
    kept.take(WHO, can_wait=False)
    assert list(kept._sent_at) == [WHO]
