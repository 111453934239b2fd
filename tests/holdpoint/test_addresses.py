"""Networks: which addresses are in them, and what is none. Trusted proxies are in test_forwarded.py."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdpoint.addresses import Networks, network, networks_of


@pytest.mark.parametrize(
    ("text", "address", "inside"),
    [
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "::ffff:10.1.2.3", True),
        ("::ffff:10.0.0.0/104", "10.1.2.3", True),
        ("::ffff:10.0.0.0/104", "11.1.2.3", False),
        ("::ffff:0:0/96", "192.0.2.1", True),
        ("::/0", "192.0.2.1", False),
        ("::/0", "2001:db8::1", True),
        ("0.0.0.0/0", "192.0.2.1", True),
        ("0.0.0.0/0", "2001:db8::1", False),
        ("2001:db8::/32", "2001:db8:ffff::1", True),
        ("fe80::/10", "fe80::1%eth0", True),
        ("192.0.2.7", "192.0.2.7", True),
        ("0.0.0.0/0", "unix:", False),
        ("0.0.0.0/0", "", False),
        ("0.0.0.0/0", "cli:root", False),
        ("0.0.0.0/0", "localhost", False),
        ("0.0.0.0/0", "192.0.2.7:80", False),
        ("0.0.0.0/0", "192.0.2.07", False),
    ],
)
def test_inside_and_outside(text: str, address: str, inside: bool) -> None:
    assert (address in Networks([text])) is inside
    assert (address in networks_of((text,))) is inside


@pytest.mark.parametrize(
    "text", ["", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/8;::1", "unix:", "host", "10/8", "::ffff:1.2.3.4/97"]
)
def test_what_is_no_network(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the words are Python's
        network(text)
    assert "10.0.0.1" not in networks_of(("10.0.0.0/8", text))


def test_no_networks_have_nobody_in_them() -> None:
    assert not Networks(())
    assert "10.0.0.1" not in Networks(())


@given(st.ip_addresses(), st.data())
def test_as_the_standard_library_says(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, data: st.DataObject
) -> None:
    other = data.draw(st.ip_addresses(v=address.version))
    prefix = data.draw(st.integers(0, address.max_prefixlen))
    whole = ipaddress.ip_network(f"{other}/{prefix}", strict=False)
    mapped = isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None
    if not mapped:
        assert (str(address) in Networks([str(whole)])) is (address in whole)
