"""Who is behind a proxy: the last address that somebody trusted has written, whatever the client puts before it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdpoint.addresses import TrustedProxies, normalised
from holdpoint.forwarded import client_behind

PROXIES = TrustedProxies("10.0.0.0/8, 2001:db8:1::/48, unix:")
NEAR = "10.0.0.1"


@pytest.mark.parametrize(
    ("values", "client"),
    [
        ([], NEAR),
        ([""], NEAR),
        (["192.0.2.7"], "192.0.2.7"),
        (["192.0.2.7:4711"], "192.0.2.7"),
        (["2001:db8::7"], "2001:db8::7"),
        (["[2001:db8::7]"], "2001:db8::7"),
        (["[2001:DB8::7]:80"], "2001:db8::7"),
        (["::ffff:192.0.2.7"], "192.0.2.7"),
        (["198.51.100.9, 192.0.2.7"], "192.0.2.7"),
        (["198.51.100.9", "192.0.2.7"], "192.0.2.7"),
        (["198.51.100.9 ,\t192.0.2.7 , 10.2.3.4, 2001:db8:1::5"], "192.0.2.7"),
        (["10.9.9.9, 10.2.3.4"], "10.9.9.9"),  # all of them are ours: the first is where it began
        (["<script>, \x00junk, 192.0.2.7"], "192.0.2.7"),  # nobody looks at what the client wrote
        (["192.0.2.7,,"], "192.0.2.7"),
        (["unknown"], NEAR),
        (["192.0.2.7, unknown"], NEAR),
        (["192.0.2.7, _hidden, 10.2.3.4"], "10.2.3.4"),
        (["192.0.2.999"], None),
        (["junk, 10.2.3.4"], None),
        (["192.0.2.7:"], None),
        (["fe80::1%eth0"], None),
        (["192.0.2.7;for=1"], None),
        (['"192.0.2.7"'], None),
        (["unix:"], None),
    ],
)
def test_x_forwarded_for(values: list[str], client: str | None) -> None:
    assert client_behind(NEAR, "x-forwarded-for", values, PROXIES) == client


@pytest.mark.parametrize(
    ("values", "client"),
    [
        ([], NEAR),
        (["for=192.0.2.7"], "192.0.2.7"),
        (["For=192.0.2.7;proto=https;by=10.0.0.1;host=a"], "192.0.2.7"),
        (['proto=https; for="[2001:db8::7]:4711"'], "2001:db8::7"),
        (['for="192.0.2.7:80"'], "192.0.2.7"),
        (['for="192.0.2\\.7"'], "192.0.2.7"),
        (["for=198.51.100.9, for=192.0.2.7"], "192.0.2.7"),
        (["for=198.51.100.9, for=192.0.2.7 , for=10.2.3.4"], "192.0.2.7"),
        (["for=198.51.100.9", "for=192.0.2.7"], "192.0.2.7"),
        (['for="a, for=198.51.100.9', "for=192.0.2.7"], "192.0.2.7"),  # a broken line of the client's is its own
        (['host="a,for=198.51.100.9";for=192.0.2.7'], "192.0.2.7"),
        (["for=unknown"], NEAR),
        (["for=_x-y.z"], NEAR),
        (["proto=https"], NEAR),
        (["for=192.0.2.7, proto=https"], NEAR),
        (['for="a, for=192.0.2.7'], None),
        (["for=192.0.2.7;for=198.51.100.9"], None),
        (["for=192.0.2.7;"], None),
        (["for=192.0.2.7,"], None),
        (["for = 192.0.2.7"], None),
        (["for="], None),
        (["192.0.2.7"], None),
        (["for=2001:db8::7"], None),  # a colon wants quotes
        (['for="192.0.2.7"x'], None),
        (["for=192.0.2.7 for=1"], None),
        (["for=junk"], None),
    ],
)
def test_forwarded(values: list[str], client: str | None) -> None:
    assert client_behind(NEAR, "forwarded", values, PROXIES) == client


def test_nobody_else_is_believed() -> None:
    assert client_behind("192.0.2.1", "x-forwarded-for", ["198.51.100.9"], PROXIES) == "192.0.2.1"
    assert client_behind("192.0.2.1", "forwarded", ["junk"], PROXIES) == "192.0.2.1"
    assert client_behind(NEAR, "x-forwarded-for", ["198.51.100.9"], TrustedProxies("")) == NEAR


@given(st.sampled_from(["x-forwarded-for", "forwarded"]), st.lists(st.text(max_size=60), max_size=4))
def test_garbage_is_never_an_exception_and_never_an_address(header: str, values: list[str]) -> None:
    found = client_behind(NEAR, header, values, PROXIES)
    assert found is None or normalised(found) == found


@given(
    st.text(alphabet='for=",;\\[]:. \t10_', max_size=80), st.ip_addresses(v=4).filter(lambda a: str(a) not in PROXIES)
)
def test_what_the_client_wrote_before_changes_nothing(junk: str, client: object) -> None:
    assert client_behind(NEAR, "x-forwarded-for", [f"{junk}, {client}"], PROXIES) == str(client)
    assert client_behind(NEAR, "forwarded", [junk, f"for={client}"], PROXIES) == str(client)


def test_networks() -> None:
    for inside in ("10.255.0.1", "::ffff:10.1.1.1", "2001:db8:1:2::3", "unix:"):
        assert inside in PROXIES
    for outside in ("11.0.0.1", "::1", "", "junk", "2001:db8:2::1"):
        assert outside not in PROXIES
    assert "unix:" not in TrustedProxies("127.0.0.1")
    assert not TrustedProxies(" , ")


@pytest.mark.parametrize("text", ["10.0.0.1/8", "localhost", "10.0.0.0/33", "10.0.0.0/8;::1", "unix"])
def test_what_is_no_network(text: str) -> None:
    with pytest.raises(ValueError, match="must be networks"):
        TrustedProxies(text)
