"""Which headers travel: to the model nothing of the client's but what is known to be harmless, and back nothing of the wire."""

from __future__ import annotations

import pytest

from gateway import headers
from gateway.protocols import DEFAULT

FINE = ("content-type", "application/json")


@pytest.mark.parametrize(
    "dropped",
    [
        ("set-cookie", "a=b"),
        ("transfer-encoding", "chunked"),
        ("content-length", "3"),
        ("x-holdpoint-hold", "h"),
        ("x-a", "caf\xe9"),
        ("x-a", "a\x0bb"),
        ("x-a", "a\r\nb: c"),
    ],
)
def test_what_a_client_never_gets_from_a_model(dropped: tuple[str, str]) -> None:
    for given in ([dropped, FINE], [FINE, dropped]):
        assert headers.to_client(given, held=False) == [FINE]


def test_what_belongs_to_the_connection_is_what_its_header_names_wherever_it_stands() -> None:
    named = ("connection", "X-A, close ,x-b")
    for given in ([named, ("x-a", "1"), FINE, ("x-b", "2")], [("x-a", "1"), FINE, ("x-b", "2"), named]):
        assert headers.to_client(given, held=False) == [FINE]
    assert headers.to_client([("x-a", "1"), ("connection", "x-b"), ("connection", "x-a")], held=False) == []


@pytest.mark.parametrize("held", [True, False])
def test_only_who_was_not_held_is_invited_to_try_again(held: bool) -> None:
    assert headers.to_client([("retry-after", "1")], held=held) == ([] if held else [("retry-after", "1")])


@pytest.mark.parametrize("stream", [True, False])
def test_the_gateways_own_headers_are_those_of_the_kind_and_of_the_credential(stream: bool) -> None:
    accept = ("accept", "text/event-stream" if stream else "application/json")
    common = (accept, ("accept-encoding", "identity"), ("user-agent", "holdpoint"))
    assert headers.to_model(DEFAULT, credential=None, stream=stream, has_body=False) == common
    for credential in ("one", "two"):
        found = headers.to_model(DEFAULT, credential=credential, stream=stream, has_body=True)
        assert found == (*common, FINE, ("authorization", f"Bearer {credential}"))
