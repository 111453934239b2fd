from __future__ import annotations

import pytest

from gateway.prefer import Preferences, preferences


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], Preferences()),
        (["respond-async"], Preferences(asynchronous=True)),
        (["Respond-Async"], Preferences(asynchronous=True)),
        (["wait=5"], Preferences(wait_s=5)),
        (['wait="5"'], Preferences(wait_s=5)),
        (["wait = 5; foo=bar"], Preferences(wait_s=5)),
        (["wait=5, wait=9"], Preferences(wait_s=5)),
        (["wait=5", "respond-async"], Preferences(asynchronous=True, wait_s=5)),
        (["wait=0"], Preferences(asynchronous=True, wait_s=0)),
        (["wait=soon"], Preferences()),
        (["wait=-1"], Preferences()),
        (["wait="], Preferences()),
        (["wait"], Preferences()),
        (["return=minimal, handling=lenient"], Preferences()),
        ([",,;;=,"], Preferences()),
        (["wait=99999999999999999999"], Preferences()),
    ],
)
def test_what_is_not_understood_is_ignored(values: list[str], expected: Preferences) -> None:
    assert preferences(values) == expected


def test_what_was_applied() -> None:
    assert Preferences(asynchronous=True).applied == "respond-async"
    assert Preferences(wait_s=5).applied == "wait=5"
