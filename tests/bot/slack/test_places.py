"""Ids of other workspaces: what gets a prefix on the way in, and loses it on the way out."""

from __future__ import annotations

from typing import Any

import pytest

from bot.slack.places import at_place, join, local, place_of, split, with_place, without_place


@pytest.mark.parametrize(
    ("some_id", "place", "bare"),
    [("C1", "", "C1"), ("T1/C1", "T1", "C1"), ("E1/W1", "E1", "W1"), ("", "", "")],
)
def test_ids_are_taken_apart(some_id: str, place: str, bare: str) -> None:
    assert split(some_id) == (place, bare)
    assert local(some_id) == bare
    assert join(place, bare) == some_id


def test_what_has_a_place_keeps_it() -> None:
    assert join("T2", "T1/C1") == "T1/C1"
    assert join("T2", "") == ""


def test_a_call_goes_where_its_ids_belong() -> None:
    assert without_place({"channel": "T1/C1", "user": "T1/U1", "text": "a/b"}) == (
        "T1", {"channel": "C1", "user": "U1", "text": "a/b"},
    )  # fmt: skip
    assert without_place({"text": "a/b"}) == ("", {"text": "a/b"})
    assert without_place({"trigger_id": "T1/12.ab", "view": {"a": "b/c"}})[0] == "T1"


@pytest.mark.parametrize("arguments", [{"channel": "T1/C1", "user": "U1"}, {"channel": "T1/C1", "user": "T2/U1"}])
def test_a_call_to_two_workspaces_is_a_mistake(arguments: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="two workspaces"):
        without_place(arguments)


def test_answers_find_their_way_back() -> None:
    said = {"ok": True, "channel": {"id": "C1", "name": "ops"}, "user": "holdpoint", "users": ["U1"], "ts": "1.1"}
    assert with_place(said, "T1") == {
        "ok": True, "channel": {"id": "T1/C1", "name": "ops"}, "user": "holdpoint", "users": ["T1/U1"], "ts": "1.1",
    }  # fmt: skip
    assert with_place(said, "") is said


def test_a_callback_gets_the_prefix_wherever_an_id_leads_to_a_call() -> None:
    body: dict[str, Any] = {
        "user": {"id": "U1", "team_id": "T1"}, "container": {"channel_id": "C1", "message_ts": "1.1", "view_id": "V1"},
        "channel": {"id": "C1"}, "view": {"id": "V1", "hash": "h"}, "trigger_id": "1.x", "actions": [{"value": "U1"}],
        "event": {"user": "U1", "channel": "D1", "view": {"id": "V2", "hash": "h"}, "tab": "home"},
    }  # fmt: skip
    placed = at_place(body, "T1")
    assert placed["user"] == {"id": "T1/U1", "team_id": "T1"}
    assert placed["container"] == {"channel_id": "T1/C1", "message_ts": "1.1", "view_id": "T1/V1"}
    assert (placed["channel"]["id"], placed["view"]["id"], placed["trigger_id"]) == ("T1/C1", "T1/V1", "T1/1.x")
    assert placed["event"] == {"user": "T1/U1", "channel": "T1/D1", "view": {"id": "T1/V2", "hash": "h"}, "tab": "home"}
    assert placed["actions"] == body["actions"]
    assert body["user"]["id"] == "U1"  # the original is left alone
    assert at_place(body, "") == body


def test_a_channel_typed_behind_a_command_is_one_of_that_workspace() -> None:
    body = {"command": "/holdpoint", "text": "route add ops <#C1|ops> <@U1|sam>", "user_id": "U1", "channel_id": "C2"}
    placed = at_place(body, "T1")
    assert placed["text"] == "route add ops slack:T1/C1 <@U1|sam>"
    assert (placed["user_id"], placed["channel_id"]) == ("T1/U1", "T1/C2")


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"team": {"id": "T1"}}, "T1"),
        ({"team_id": "T1"}, "T1"),
        ({"team": {"id": "T9"}, "message": {"team": "T1"}}, "T1"),  # the clicker's workspace, and the app's
        ({"team": {"id": "T9"}, "view": {"app_installed_team_id": "T1"}}, "T1"),
        ({"team_id": "T9", "authorizations": [{"team_id": "T1"}]}, "T1"),
        ({"team": {"id": "T1"}, "enterprise": {"id": "E1"}, "is_enterprise_install": True}, "E1"),
        ({"team_id": "T1", "enterprise_id": "E1", "is_enterprise_install": "true"}, "E1"),
        ({"team_id": "T1", "enterprise_id": "E1", "is_enterprise_install": "false"}, "T1"),
        (
            {
                "team_id": "T1",
                "authorizations": [{"team_id": "T1", "enterprise_id": "E1", "is_enterprise_install": True}],
            },
            "E1",
        ),
        ({"team": None, "enterprise": None, "authorizations": []}, ""),
        ({}, ""),
    ],
)
def test_whose_a_callback_is(body: dict[str, Any], place: str) -> None:
    assert place_of(body) == place
