"""What the gallery shows of Teams: a name, a sentence and the Adaptive Card of each picture. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from bot.answers import Answer, Table
from bot.cards import CardView
from bot.dashboard import Dashboard, Overview
from bot.inputs import editable
from bot.shared_views import BundleView, DigestView, digest_line
from bot.teams.home import CHARACTERS, home_card
from bot.teams.render import (
    CARD_CHARACTERS,
    Card,
    answer_card,
    ask_dialog,
    bundle_card,
    bundle_card_for,
    card,
    card_for,
    digest_card,
    digest_card_for,
    dm_card,
    edit_dialog,
    grant_dialog,
    reject_dialog,
    sample_card,
    view_dialog,
)
from holdpoint.model import Hold, Reviewer, Role, State
from holdpoint.store.cards import Failing
from holdpoint.store.quiet import Quiet
from tests.gallery.cases import LINK, decided, long_one, several, told, view_of, waiting
from tests.gallery.holds import MINUTE, NOW, ended, pending
from tests.gallery.tools import HERE

LOOK: dict[str, Any] = json.loads((HERE / "teams_look.json").read_text())
"""Teams' light theme, as a HostConfig."""
DANA = Reviewer("dana@example.com", frozenset({"contractors"}), frozenset(), "teams", "Dana")
LEE = Reviewer("lee@example.com", frozenset({"sales"}), frozenset(), "teams", "Lee")

DOCTOR = Answer(
    False, ("2 things to look at.",),
    Table(
        ("", "part", "found", "what to do"),
        (
            ("ok", "redis", "answers in 1 ms, keeps what it is given", ""),
            ("ok", "teams", "Microsoft gives the bot its token", ""),
            ("warn", "teams group security", "security has no members", "add people to the team"),
            ("fail", "teams:19:abc@thread.tacv2", "the app is not there", "add Holdpoint to the team or chat"),
        ),
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class TeamsPicture:
    """``opened`` is the title of the button below which something is unfolded; ``title`` is a dialog's."""

    name: str
    says: str
    card: Card
    opened: str = ""
    title: str = ""


def teams_pictures() -> Iterator[TeamsPicture]:
    """All of them, in the order of the gallery's page."""
    for name, says, of in (*waiting(), *decided()):
        yield TeamsPicture(f"teams-{name}", says, card(_view(of)))
    yield from _unfolded()
    yield from _own_views()
    yield from _floods()
    for name, says, of in told():
        yield TeamsPicture(f"teams-dm-{name}", says, dm_card(_view(of)))
    yield from _dialogs()
    yield from _answers()


def _view(of: Hold, *, viewer: Reviewer | None = None) -> CardView:
    return view_of(of, limit=CARD_CHARACTERS, viewer=viewer)


def _unfolded() -> Iterator[TeamsPicture]:
    shown = card(_view(pending()))
    yield TeamsPicture("teams-open-edit", "Edit & approve, below the card.", shown, opened="Edit & approve")
    yield TeamsPicture("teams-open-reject", "Reject, with a reason, below the card.", shown, opened="Reject")


def _own_views() -> Iterator[TeamsPicture]:
    yield TeamsPicture(
        "teams-for-requester",
        "The same card as its requester sees it in the channel.",
        card_for(_view(pending(), viewer=DANA), DANA),
    )
    yield TeamsPicture(
        "teams-for-stranger", "… and as somebody who may not decide.", card_for(_view(pending(), viewer=LEE), LEE)
    )


def _floods() -> Iterator[TeamsPicture]:
    ids = tuple(f"h{number:02}k2m9qx4w8r3t6y1z5c0v8" for number in range(12))
    bundle = BundleView("b1", _view(pending()), ids)
    yield TeamsPicture("teams-bundle-pending", "Twelve identical requests share a card.", bundle_card(bundle))
    own, refused = bundle_card_for(bundle, DANA), bundle_card_for(bundle, LEE, "Only security can decide on this.")
    yield TeamsPicture("teams-bundle-for-requester", "… as who sent them sees the card in the channel.", own)
    yield TeamsPicture("teams-bundle-for-stranger", "… and as somebody who may decide none of them.", refused)
    done = BundleView("b1", _view(ended(State.APPROVED)), (), ((State.APPROVED, 10), (State.CANCELLED, 2)))
    yield TeamsPicture("teams-bundle-decided", "What became of them.", bundle_card(done))
    lines = tuple(digest_line(_view(each)) for each in several())
    digest = digest_card(DigestView("b2", lines, f"{LINK}/review", more=14))
    yield TeamsPicture("teams-digest-pending", "A channel near its limit: many holds on one card.", digest)
    kims = replace(lines[0], requester="kim@example.com", senders=frozenset({"kim@example.com"}))
    some = DigestView("b2", (kims, lines[2], lines[3]), f"{LINK}/review")
    own = digest_card_for(some, DANA, "Only security can decide on this.")
    yield TeamsPicture("teams-digest-for-requester", "… as somebody sees it who sent what is on it.", own)
    over = tuple(digest_line(_view(replace(ended(State.APPROVED), id=each.id))) for each in several())
    digest = digest_card(DigestView("b2", over, f"{LINK}/review"))
    yield TeamsPicture("teams-digest-decided", "All of them decided.", digest)


def _dialogs() -> Iterator[TeamsPicture]:
    long = view_of(long_one(), limit=None)
    page, _, _ = view_dialog(long, 9, revealed=False, note="")
    yield TeamsPicture("teams-view-full", "View full, page by page: the last one.", page, title="Held request")
    inputs, elsewhere = editable(long, long_one(), longest=8_000, most=8)
    edit = edit_dialog(long, inputs, elsewhere, whole=True)
    yield TeamsPicture("teams-dialog-edit", "Edit & approve of a longer text.", edit, title="Edit & approve")
    view = _view(pending())
    yield TeamsPicture("teams-dialog-reject", "Reject.", reject_dialog(view, view.reasons), title="Reject")
    yield TeamsPicture("teams-dialog-ask", "Ask the requester.", ask_dialog(view, pauses=True), title="Ask")
    if view.grant is not None:
        grant = grant_dialog(view, view.grant, ("contractors",), whole=True)
        yield TeamsPicture("teams-dialog-grant", "Approve similar.", grant, title="Approve similar")


def _answers() -> Iterator[TeamsPicture]:
    rows = (("contractors", "teams:19:abc@thread.tacv2", "command"), ("*", "web", "policy"))
    listed = Answer(True, ("Cards for contractors also go here.",), Table(("group", "channel", "from"), rows))
    yield TeamsPicture("teams-answer", "What a command answers.", answer_card(listed))
    yield TeamsPicture(
        "teams-answer-doctor", "`doctor`: each row of a table stands below its name.", answer_card(DOCTOR)
    )
    yield TeamsPicture("teams-home", "`home`, for an admin who reviews, too.", _home())
    yield TeamsPicture("teams-sample", "A sample, for `route test`.", sample_card(_view(pending())))


def _home() -> Card:
    """Seven wait, they sent one, and a channel does not get its cards."""
    sam = Reviewer("sam@example.com", frozenset({"security"}), frozenset({Role.ADMIN}), "teams", "Sam")
    queue = (view_of(pending(), limit=CHARACTERS, viewer=sam),)
    own = (view_of(ended(State.REJECTED), limit=CHARACTERS, viewer=sam),)
    failing = Failing("teams:19:abc@thread.tacv2", "the app was removed from the team", NOW - 2 * MINUTE)
    overview = Overview(policy_version=7, routes=3, held=16, median_ms=95_000, failing=(failing,))
    page = Dashboard(sam, queue, 7, own, Quiet.DECISIONS, overview, frozenset())
    return home_card(page, url=f"{LINK}/review")
