"""The fake enforces each of Slack's rules: one row for each, just inside and just outside."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes.slack.rules import message_problems, view_problems
from tests.fakes.slack.text import read_blocks, read_mrkdwn, utf16


def plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text}


def mrkdwn(text: str) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text}


def section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": mrkdwn(text)}


def button(**more: Any) -> dict[str, Any]:
    return {"type": "button", "text": plain("Go"), "action_id": "go", **more}


def actions(*elements: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"type": "actions", "elements": list(elements)}]


def rich(*elements: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"type": "rich_text", "elements": [{"type": "rich_text_quote", "elements": list(elements)}]}]


def confirm(**more: Any) -> dict[str, Any]:
    return {"title": plain("t"), "text": plain("t"), "confirm": plain("y"), "deny": plain("n"), **more}


def option(value: str = "a", **more: Any) -> dict[str, Any]:
    return {"text": plain("A"), "value": value, **more}


def options(count: int) -> list[dict[str, Any]]:
    return [option(str(n)) for n in range(count)]


def menu(kind: str = "static_select", **more: Any) -> dict[str, Any]:
    return {"type": kind, "action_id": "m", "options": options(2), **more}


def table(rows: int, columns: int = 1) -> dict[str, Any]:
    return {"type": "table", "rows": [[{"type": "raw_text", "text": "x"}] * columns] * rows}


MESSAGES: list[tuple[str, Any, Any]] = [
    ("100 options", actions(menu(options=options(100))), actions(menu(options=options(101)))),
    ("option text 75", actions(menu(options=[option(text=plain("x" * 75))])), actions(menu(options=[option(text=plain("x" * 76))]))),
    ("option value 150", actions(menu(options=[option("x" * 150)])), actions(menu(options=[option("x" * 151)]))),
    ("option plain_text", actions(menu()), actions(menu(options=[option(text=mrkdwn("x"))]))),
    ("options differ", actions(menu(options=options(2))), actions(menu(options=[option(), option()]))),
    ("initial option is one", actions(menu(initial_option=option("1"))), actions(menu(initial_option=option("9")))),
    ("overflow 2 to 5", actions(menu("overflow", options=options(5))), actions(menu("overflow", options=options(1)))),
    ("overflow at most 5", actions(menu("overflow", options=options(2))), actions(menu("overflow", options=options(6)))),
    ("radio 10", actions(menu("radio_buttons", options=options(10))), actions(menu("radio_buttons", options=options(11)))),
    ("menu known key", actions(menu()), actions(menu(colour="red"))),
    ("context image", [{"type": "context", "elements": [{"type": "image", "image_url": "http://x", "alt_text": "x"}]}], [{"type": "context", "elements": [{"type": "image", "alt_text": "x"}]}]),
    ("image by file", [{"type": "image", "slack_file": {"id": "F1"}, "alt_text": "x"}], [{"type": "image", "slack_file": {}, "alt_text": "x"}]),
    ("markdown 12000 in all", [{"type": "markdown", "text": "x" * 6000}] * 2, [{"type": "markdown", "text": "x" * 6001}] * 2),
    ("one table", [table(1)], [table(1)] * 2),
    ("table 100 rows", [table(100)], [table(101)]),
    ("table 20 columns", [table(1, 20)], [table(1, 21)]),
    ("50 blocks", [{"type": "divider"}] * 50, [{"type": "divider"}] * 51),
    ("section text 3000", [section("x" * 3000)], [section("x" * 3001)]),
    ("length in UTF-16 units", [section("😀" * 1500)], [section("😀" * 1501)]),
    ("section text not empty", [section("x")], [section("")]),
    ("section has text or fields", [section("x")], [{"type": "section"}]),
    ("10 fields", [{"type": "section", "fields": [mrkdwn("x")] * 10}], [{"type": "section", "fields": [mrkdwn("x")] * 11}]),
    ("fields 2000", [{"type": "section", "fields": [mrkdwn("x" * 2000)]}], [{"type": "section", "fields": [mrkdwn("x" * 2001)]}]),
    ("header 150", [{"type": "header", "text": plain("x" * 150)}], [{"type": "header", "text": plain("x" * 151)}]),
    ("header plain_text", [{"type": "header", "text": plain("x")}], [{"type": "header", "text": mrkdwn("x")}]),
    ("context 10", [{"type": "context", "elements": [plain("x")] * 10}], [{"type": "context", "elements": [plain("x")] * 11}]),
    ("actions 25", actions(*[button(action_id=str(n)) for n in range(25)]), actions(*[button(action_id=str(n)) for n in range(26)])),
    ("button text 75", actions(button(text=plain("x" * 75))), actions(button(text=plain("x" * 76)))),
    ("button plain_text", actions(button()), actions(button(text=mrkdwn("x")))),
    ("button value 2000", actions(button(value="x" * 2000)), actions(button(value="x" * 2001))),
    ("button value is text", actions(button(value="1")), actions(button(value=1))),
    ("button url 3000", actions(button(url="http://" + "x" * 2993)), actions(button(url="http://" + "x" * 2994))),
    ("button url is a URL", actions(button(url="https://x")), actions(button(url="javascript:x"))),
    ("button style", actions(button(style="danger")), actions(button(style="secondary"))),
    ("action_id 255", actions(button(action_id="x" * 255)), actions(button(action_id="x" * 256))),
    ("accessibility 75", actions(button(accessibility_label="x" * 75)), actions(button(accessibility_label="x" * 76))),
    ("action_id unique", actions(button(), button(action_id="b")), actions(button(), button())),
    ("confirm title 100", actions(button(confirm=confirm(title=plain("x" * 100)))), actions(button(confirm=confirm(title=plain("x" * 101))))),
    ("confirm text 300", actions(button(confirm=confirm(text=plain("x" * 300)))), actions(button(confirm=confirm(text=plain("x" * 301))))),
    ("confirm deny 30", actions(button(confirm=confirm(deny=plain("x" * 30)))), actions(button(confirm=confirm(deny=plain("x" * 31))))),
    ("block_id 255", [{"type": "divider", "block_id": "x" * 255}], [{"type": "divider", "block_id": "x" * 256}]),
    ("block_id unique", [{"type": "divider", "block_id": "a"}, {"type": "divider", "block_id": "b"}], [{"type": "divider", "block_id": "a"}] * 2),
    ("known block", [{"type": "divider"}], [{"type": "dividor"}]),
    ("known key", [section("x")], [{**section("x"), "colour": "red"}]),
    ("no input in a message", [{"type": "divider"}], [{"type": "input", "label": plain("x"), "element": {"type": "plain_text_input"}}]),
    ("rich text element", rich({"type": "text", "text": "x", "style": {"bold": True}}), rich({"type": "text", "text": "x", "style": {"loud": True}})),
    ("rich text not empty", rich({"type": "text", "text": "x"}), rich({"type": "text", "text": ""})),
    ("rich text known type", rich({"type": "text", "text": "x"}), rich({"type": "mrkdwn", "text": "x"})),
    ("all texts together", [section("x" * 3000)] * 4, [section("x" * 3000)] * 5),
    ("image alt 2000", [{"type": "image", "image_url": "http://x", "alt_text": "x" * 2000}], [{"type": "image", "image_url": "http://x", "alt_text": "x" * 2001}]),
]  # fmt: skip


@pytest.mark.parametrize(("inside", "outside"), [row[1:] for row in MESSAGES], ids=[row[0] for row in MESSAGES])
def test_message_rules(inside: Any, outside: Any) -> None:
    assert message_problems(inside) == []
    assert message_problems(outside)


def modal(**more: Any) -> dict[str, Any]:
    return {"type": "modal", "title": plain("t"), "blocks": [section("x")], **more}


def field(**more: Any) -> dict[str, Any]:
    return {
        "type": "input",
        "block_id": "i",
        "label": plain("l"),
        "element": {"type": "plain_text_input", "action_id": "a", **more},
    }


def form(block: dict[str, Any]) -> dict[str, Any]:
    return modal(blocks=[block], submit=plain("s"))


VIEWS: list[tuple[str, Any, Any]] = [
    ("1 to 100 blocks", modal(blocks=[{"type": "divider"}] * 100), modal(blocks=[{"type": "divider"}] * 101)),
    ("not empty", modal(), modal(blocks=[])),
    ("title 24", modal(title=plain("x" * 24)), modal(title=plain("x" * 25))),
    ("submit 24", modal(submit=plain("x" * 24)), modal(submit=plain("x" * 25))),
    ("close 24", modal(close=plain("x" * 24)), modal(close=plain("x" * 25))),
    ("private_metadata 3000", modal(private_metadata="x" * 3000), modal(private_metadata="x" * 3001)),
    ("callback_id 255", modal(callback_id="x" * 255), modal(callback_id="x" * 256)),
    ("external_id 255", modal(external_id="x" * 255), modal(external_id="x" * 256)),
    ("input needs submit", form(field()), modal(blocks=[field()])),
    ("max_length 3000", form(field(max_length=3000)), form(field(max_length=3001))),
    ("initial_value within max_length", form(field(max_length=5, initial_value="x" * 5)), form(field(max_length=5, initial_value="x" * 6))),
    ("initial_value 3000", form(field(initial_value="x" * 3000)), form(field(initial_value="x" * 3001))),
    ("placeholder 150", form(field(placeholder=plain("x" * 150))), form(field(placeholder=plain("x" * 151)))),
    ("label 2000", form({**field(), "label": plain("x" * 2000)}), form({**field(), "label": plain("x" * 2001)})),
    ("hint 2000", form({**field(), "hint": plain("x" * 2000)}), form({**field(), "hint": plain("x" * 2001)})),
    ("known key", modal(), modal(footer="x")),
    ("a modal", modal(), {**modal(), "type": "home"}),
]  # fmt: skip


@pytest.mark.parametrize(("inside", "outside"), [row[1:] for row in VIEWS], ids=[row[0] for row in VIEWS])
def test_view_rules(inside: Any, outside: Any) -> None:
    assert view_problems(inside) == []
    assert view_problems(outside)


@pytest.mark.parametrize(
    ("text", "verbatim", "seen", "notified"),
    [
        ("<!channel> hi", True, "!channel hi", ["!channel"]),
        ("&lt;!channel&gt; hi", True, "<!channel> hi", []),
        ("<@U1> <#C1> <!subteam^S1>", True, "@U1 #C1 !subteam^S1", ["@U1", "#C1", "!subteam^S1"]),
        ("<https://x.test|click>", True, "click", ["link https://x.test"]),
        ("see https://x.test", False, "see https://x.test", ["link https://x.test"]),
        ("see https://x.test @here", True, "see https://x.test @here", []),
        ("ping @here", False, "ping @here", ["!here"]),
        ("&amp;lt;", True, "&lt;", []),
    ],
)
def test_mrkdwn_is_read_as_a_reader_sees_it(text: str, *, verbatim: bool, seen: str, notified: list[str]) -> None:
    result = read_mrkdwn(text, verbatim=verbatim)
    assert (result.text, result.notified) == (seen, notified)


def test_dates_are_read() -> None:
    assert read_mrkdwn("<!date^1700000000^{time}|at ten>", verbatim=True).dates == [1_700_000_000]


def test_rich_text_is_literal() -> None:
    blocks = rich({"type": "text", "text": "<!channel> *x*"})
    assert read_blocks(blocks).text == "<!channel> *x*"
    assert read_blocks(blocks).notified == []
    assert read_blocks(rich({"type": "broadcast", "range": "channel"})).notified == ["broadcast channel"]


def test_utf16_counts_surrogates_twice() -> None:
    assert (utf16("a"), utf16("é"), utf16("😀")) == (1, 1, 2)
