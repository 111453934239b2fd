"""Addresses as principals, and who is the same person by links."""

from __future__ import annotations

from dataclasses import replace

import pytest

from holdpoint.linked import Link, Linked, address_of
from holdpoint.model import Account
from holdpoint.policy.people import canonical

DANA, CHAT, OTHER = "dana@example.com", "dana@chat.example", "dd@elsewhere.example"
ACCOUNT = Account("slack", "T1", "U1", "Dana", CHAT)
LINK = Link("slack", "T1", "U1", DANA, CHAT, "Dana", 1, "key 1")

ADDRESSES: list[tuple[str, str, str]] = [
    ("lower case stays", "sam@example.com", "sam@example.com"),
    ("upper case goes", " SAM@Example.COM ", "sam@example.com"),
    ("letters with one form", "Müller@example.com", "müller@example.com"),
    ("another script is another name", "sаm@example.com", "sаm@example.com"),
    ("the Kelvin sign is no k", "\u212aim@example.com", ""),
    ("the Angstrom sign is no å", "\u212bsa@example.com", ""),
    ("wide letters", "ｓam@example.com", ""),
    ("a long s", "\u017fam@example.com", ""),
    ("a sharp s, which is two in capitals", "strauß@example.com", ""),
    ("a final sigma", "νικος@example.com", ""),
    ("letters in pieces", "mu\u0308ller@example.com", ""),
    ("an ideographic dot", "sam@example\u3002com\uff0e", ""),
    ("a wide at", "sam＠example.com", ""),
    ("hidden characters", "s\u200bam@example.com", ""),
    ("turned around", "\u202emoc.elpmaxe@mas", ""),
    ("a blank inside", "sam smith@example.com", ""),
    ("two addresses", "sam@example.com@evil.example", ""),
    ("a line end", "sam@example.com\nkim@example.com", ""),
    ("no name", "@example.com", ""),
    ("no domain", "sam@", ""),
    ("none", "", ""),
    ("a name", "sam", ""),
]


@pytest.mark.promise(5)
@pytest.mark.parametrize(("text", "expected"), [row[1:] for row in ADDRESSES], ids=[row[0] for row in ADDRESSES])
def test_an_address_is_a_principal_only_where_it_cannot_be_taken_for_another_one(text: str, expected: str) -> None:
    assert address_of(text) == expected
    assert not expected or canonical(text) == expected


def test_an_account_is_who_its_link_says_while_it_is_the_one_that_was_linked() -> None:
    linked = Linked([LINK])
    assert linked.principal_of(ACCOUNT) == DANA
    for other in (
        replace(ACCOUNT, email=OTHER), replace(ACCOUNT, place="T2"), replace(ACCOUNT, user_id="U2"),
        replace(ACCOUNT, platform="teams"),
    ):  # fmt: skip
        assert linked.principal_of(other) == other.email
    assert Linked([replace(LINK, voided_ms=2)]).principal_of(ACCOUNT) == CHAT
    assert Linked([replace(LINK, voided_ms=2)]).of("slack", "U1") is not None
    assert linked.principal_of(replace(ACCOUNT, name="Somebody else")) == DANA


def test_a_principal_has_as_many_accounts_as_are_linked_to_it() -> None:
    teams = replace(LINK, platform="teams", user_id="t/o", email_then=OTHER)
    linked = Linked([LINK, teams, replace(LINK, user_id="U2", voided_ms=5)])
    assert linked.accounts_of(DANA, "slack") == (LINK,)
    assert linked.accounts_of(DANA, "teams") == (teams,)
    assert linked.accounts_of(CHAT, "slack") == ()


def test_links_make_one_person_of_all_whom_they_connect_void_ones_too() -> None:
    second = replace(LINK, user_id="U2", principal=CHAT, email_then=OTHER, voided_ms=9)
    stranger = replace(LINK, user_id="U3", principal="kim@example.com", email_then="kim@chat.example")
    linked = Linked([stranger, second, LINK])
    for each in (DANA, CHAT, OTHER):
        assert linked.kin({each}) == {DANA, CHAT, OTHER}
    assert linked.kin({"kim@example.com", "x@y"}) == {"kim@example.com", "kim@chat.example", "x@y"}
    assert Linked().kin({DANA}) == {DANA}
