"""Promise 7 in mails: headers of ours alone, and in both parts a reader sees the text and nothing else.

Each mail is made twice, with a harmless word in every field and with an attack: in HTML the same elements have to come
out, nothing but our one link is referred to, and the page has to read the same but for the word.
"""

from __future__ import annotations

import re
from dataclasses import replace
from email import message_from_bytes, policy
from functools import cache

import pytest

from bot.cards import card_view
from bot.email.message import compose
from bot.email.render import CARD_CHARACTERS, Mail, card_mail, digest_mail, requester_mail
from bot.email.server import MailServer, Security
from bot.email.text import unlinked
from bot.shared_views import BundleView, DigestView, digest_line
from bot.views import CardView
from holdpoint.model import Hold, State
from holdpoint.policy.mask import Masks
from holdpoint.visible import visible, visible_line
from tests.bot.email.conftest import page_text, tags_and_links
from tests.bot.slack.surfaces import NOW, agent_with, hold_with
from tests.corpus import ATTACKS, MASSIVE

pytestmark = pytest.mark.promise(7)

WORD = "Qqq"
LINK = "https://holdpoint.test"
SERVER = MailServer("127.0.0.1", 25, Security.NONE, "holdpoint@corp.test", "Holdpoint")
STATES = (State.PENDING, State.FAILED)
SIGNS = dict.fromkeys(map(ord, "−+"))  # in front of each line of a diff
COUNT = re.compile(r"[\d,]+ characters?")
QUOTED = ("  |", "  − ", "  + ")  # lines of a text


def seen(hold: Hold) -> CardView:
    return card_view(hold, now_ms=NOW, link_base=LINK, masks=Masks(), limit=CARD_CHARACTERS)


def bundle_of(hold: Hold) -> BundleView:
    return BundleView("b1", seen(hold), ("h1", "h2"), ((State.CANCELLED, 1),))


SURFACES = {
    "card": lambda hold: card_mail(seen(hold), latest=visible_line(hold.query.model)),
    "bundle": lambda hold: card_mail(seen(hold), bundle=bundle_of(hold), first="h1"),
    "sample": lambda hold: card_mail(seen(hold), sample=True),
    "requester": lambda hold: requester_mail(seen(hold)),
    "digest": lambda hold: digest_mail(DigestView("b2", (digest_line(seen(hold)),) * 3, f"{LINK}/review", more=2)),
}


@cache
def mails(surface: str, text: str) -> list[Mail]:
    return [SURFACES[surface](hold) for hold in (*(hold_with(text, state=s) for s in STATES), agent_with(text))]


def harmless(surface: str) -> list[Mail]:
    return mails(surface, WORD)


def lines_of_ours(mail: Mail) -> int:
    return sum(not line.startswith(QUOTED) for line in mail.text.split("\n"))


def shapes(attack: str) -> set[str]:
    """How a text may stand: hidden characters written out; on one line; with blanks run together."""
    changed = visible(attack).split("\n")[-1]  # a diff shows the line that was changed
    return {visible(attack), visible_line(attack), " ".join(visible(attack).split()), changed}


def flat(text: str) -> str:
    """Without blanks and signs of diffs, and without how much is folded, which is as much as the text is long."""
    return "".join(COUNT.sub("", text).translate(SIGNS).split())


def reads_like(shown: str, expected: str, attack: str) -> bool:
    """Whether ``shown`` is ``expected`` with some shape of the attack in each place of the word, cut or not."""
    pieces = [re.escape(piece) for piece in flat(expected).split(WORD)]
    ways = "|".join(re.escape(flat(shape)) for shape in sorted(shapes(attack), key=len, reverse=True))
    return re.fullmatch(f"(?:{ways})".join(pieces), flat(shown)) is not None


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
@pytest.mark.parametrize("surface", SURFACES)
def test_a_reader_of_the_page_sees_the_text_and_nothing_else(surface: str, attack: str) -> None:
    for before, after in zip(harmless(surface), mails(surface, attack), strict=True):
        tags, links = tags_and_links(after.html)
        assert set(links) <= {f"{LINK}/review", f"{LINK}/review/h0123456789abcdef0123456"}
        assert len(links) == (surface != "sample")
        plain = [tag for tag in tags if tag not in ("span", "br")]  # an address is put in pieces, a text in lines
        assert plain == [tag for tag in tags_and_links(before.html)[0] if tag not in ("span", "br")]
        assert not {"img", "script", "style", "link", "form", "input", "iframe", "object", "svg"} & set(tags)
        if "…" not in page_text(after.html).replace(visible(attack), ""):  # nothing was cut
            assert reads_like(page_text(after.html), page_text(before.html), attack)


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
@pytest.mark.parametrize("surface", SURFACES)
def test_a_reader_of_the_plain_text_sees_the_text_and_nothing_that_looks_like_ours(surface: str, attack: str) -> None:
    for before, after in zip(harmless(surface), mails(surface, attack), strict=True):
        assert lines_of_ours(after) == lines_of_ours(before)
        without = after.text.replace(f"{LINK}/review", "")
        assert re.search(r"(?i)\w://|\w\.[a-z]{2}|mailto:", without) is None, without
        assert visible(after.text) == after.text


@pytest.mark.parametrize("attack", [*ATTACKS.values(), "x\r\nBcc: eve@evil.test\r\n\r\nx"], ids=[*ATTACKS, "header"])
@pytest.mark.parametrize("surface", SURFACES)
def test_headers_are_ours_and_the_subject_too(surface: str, attack: str) -> None:
    for before, after in zip(harmless(surface), mails(surface, attack), strict=True):
        assert after.subject == before.subject
        raw = compose(SERVER, after, to="team@corp.test", message_id="<1@corp.test>", at_ms=NOW, is_list=True)
        message = message_from_bytes(raw, policy=policy.default)
        assert message.keys() == [
            "From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "X-Auto-Response-Suppress", "Precedence", "List-Id",
            "MIME-Version", "Content-Type",
        ]  # fmt: skip
        assert raw.isascii()
        assert all(len(line) <= 998 for line in raw.split(b"\r\n"))
        assert message.defects == []
        for kind, body in (("plain", after.text), ("html", after.html)):
            part = message.get_body((kind,))  # type: ignore[attr-defined]
            assert part.get_content().replace("\r\n", "\n").rstrip("\n") == body.rstrip("\n")


@pytest.mark.parametrize("massive", MASSIVE.values(), ids=MASSIVE.keys())
@pytest.mark.parametrize("surface", SURFACES)
def test_no_mail_is_too_long(surface: str, massive: str) -> None:
    """Gmail cuts what is longer than 102 kB, and with it the link."""
    for mail in mails(surface, massive):
        assert len(mail.html.encode()) < 100_000
        assert len(mail.text.encode()) < 60_000


@pytest.mark.parametrize("surface", ["card", "digest", "requester"])
@pytest.mark.parametrize("line", ["x", "a.bb.cc ", "<&>", "\u202e", "\n"])
def test_a_prompt_of_a_megabyte(surface: str, line: str) -> None:
    hold = hold_with(WORD)
    parts = (replace(hold.query.parts[3], text=line * (1_000_000 // len(line))), *hold.query.parts[:3])
    mail = SURFACES[surface](replace(hold, query=replace(hold.query, parts=parts)))
    assert len(mail.html.encode()) < 100_000


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("see https://evil.test/a?b=1.", "see https[:]//evil[.]test/a?b=1."),
        ("evil.test www.evil.co.uk", "evil[.]test www[.]evil[.]co[.]uk"),
        ("sam@evil.test", "sam@evil[.]test"),
        ("mailto:sam@x TEL:1 javascript:alert(1)", "mailto[:]sam@x TEL[:]1 javascript[:]alert(1)"),
        ("пример.рф", "пример[.]рф"),
        ("at 10:30, v1.2, a. b, e.g. x … 3.14", "at 10:30, v1.2, a. b, e.g. x … 3.14"),
        ("config: password", "config: password"),
    ],
)
def test_what_would_be_an_address_is_none_in_plain_text(text: str, shown: str) -> None:
    assert unlinked(text) == shown


def test_the_corpus_reaches_the_fields() -> None:
    assert card_mail(seen(hold_with(WORD))).html.count(WORD) >= 15
    assert requester_mail(seen(hold_with(WORD))).html.count(WORD) >= 6
