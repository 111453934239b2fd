"""Views → mails, through ``templates/email/``: subject, text and HTML of the same content. Pure but for the templates.

::

    facts, requester_facts (words)  ─ text (inert) ─▶ card.html + card.txt │ digest.html + digest.txt

The subject has words of ours only, and is the same for all mails of a thread.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot import facts, requester_facts
from bot.email.text import text
from bot.facts import Fact, Said
from bot.passages import Segment
from bot.pieces import EditView, Tone
from bot.shared_views import BundleView, DigestLine, DigestView
from bot.templates import render
from bot.units import clip
from bot.views import CardView
from holdpoint.clock import iso
from holdpoint.model import Risk
from holdpoint.visible import visible

CARD_CHARACTERS = 4_000  # of the request's texts
_MOST_EDITS = 4
_MOST_LINES = 40  # of a diff
_LINE = 400
_RISKS = {Risk.LOW: "Low risk", Risk.MEDIUM: "Medium risk", Risk.HIGH: "High risk"}

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Mail:
    """What is in a mail, without what sends it."""

    subject: str
    text: str
    html: str


def card_mail(
    view: CardView, *, latest: str = "", bundle: BundleView | None = None, first: str = "", sample: bool = False
) -> Mail:
    """For reviewers. ``latest`` is what happened last; ``first`` the hold that the thread began with, if another one."""
    count = bundle.count if bundle else view.count
    card = {
        "heading": "Sample: nothing is held" if sample else facts.header(view, count),
        "latest": text(clip(latest, 400)) if latest and view.pending else None,
        "title": text(clip(view.title, 300)),
        "line": text(clip(view.requester_line, 400)),
        "facts": [_fact(fact, view) for fact in facts.facts(view, bundle)],
        "said": [_said(each) for each in facts.said(view)],
        **_passages(view),
        "link": None if sample else {"url": view.url, "word": "Open and decide" if view.pending else "Open"},
        "references": [facts.reference(view), *facts.covered(bundle)],
    }
    subject = f"[Holdpoint] {_RISKS[view.risk]}: request {first or view.id}"
    return _mail("card", subject if not sample else "[Holdpoint] Sample", view, card)


def requester_mail(view: CardView) -> Mail:
    """For who sent the request: what became of it, or what they are asked."""
    asked = requester_facts.open_question(view)
    card = {
        "heading": requester_facts.title(view),
        "latest": None,
        "title": None,
        "line": None,
        "facts": [_fact(fact, view) for fact in requester_facts.facts(view)],
        "said": [_said(each) for each in ([asked] if asked else []) + requester_facts.said(view)],
        **_passages(view),
        "parts": [],
        "left_out": "",
        "link": {"url": view.url, "word": "Open and answer" if asked else "Open your request"},
        "references": [facts.reference(view)],
    }
    return _mail("card", f"[Holdpoint] Your request {view.id}", view, card)


def digest_mail(view: DigestView) -> Mail:
    """For reviewers: many holds on one mail."""
    digest = {
        "heading": facts.digest_title(view),
        "note": "Many requests came at once, so they share a mail." if view.waiting else "",
        "lines": [_line(line) for line in view.lines],
        "link": {"url": view.url, "word": "Open the inbox"},
    }
    tone = (Tone.WAITING if view.waiting else Tone.ENDED).value
    parts = {kind: render(f"email/digest.{kind}", digest=digest, tone=tone) for kind in ("txt", "html")}
    return Mail(f"[Holdpoint] Several requests, list {view.id}", parts["txt"], parts["html"])


def when(at_ms: int) -> str:
    """``2026-03-10 10:10 UTC``."""
    return f"{iso(at_ms)[:16].replace('T', ' ')} UTC"


def _mail(template: str, subject: str, view: CardView, card: Row) -> Mail:
    parts = {
        kind: render(f"email/{template}.{kind}", card=card, tone=view.tone.value, pending=view.pending)
        for kind in ("txt", "html")
    }
    return Mail(subject, parts["txt"], parts["html"])


def _passages(view: CardView) -> Row:
    shown = [part for part in view.parts if part.shows_text]
    return {
        "parts": [
            {
                "label": text(clip(part.label, 150)),
                "runs": _runs(part.segments),
                "quoted": text("".join(_marked(each) for each in part.segments)).quoted,
            }
            for part in shown
        ],
        "left_out": f"Not shown: {view.left_out}" if view.left_out else "",
        "read_first": view.pending and view.needs_full_view,
        "edits": [_edit(edit) for edit in view.edits[:_MOST_EDITS]],
        "more_edits": max(len(view.edits) - _MOST_EDITS, 0),
        "history": [{"at": when(at_ms), "text": text(line)} for at_ms, line in facts.history(view)],
    }


def _runs(segments: Sequence[Segment]) -> list[Row]:
    return [{"text": text(each.text), "marked": each.marked, "gap": each.gap} for each in segments]


def _marked(segment: Segment) -> str:
    """As the text part shows it, which has no colours."""
    return f"»{segment.text}«" if segment.marked else segment.text


def _fact(fact: Fact, view: CardView) -> Row:
    at = when(fact.at_ms) if fact.at_ms is not None else ""
    if at and fact.at_ms == view.deadline_ms and view.deadline_words:
        at = f"{at} ({view.deadline_words} when this was sent)"
    return {"label": fact.label, "text": text(visible(fact.text)), "at": at}


def _said(said: Said) -> Row:
    return {"label": text(said.label), "text": text(said.text), "at": when(said.at_ms) if said.at_ms else ""}


def _edit(edit: EditView) -> Row:
    changed = [line for line in edit.lines if line.sign.strip()]
    lines = [{"sign": line.sign, "text": text(clip(line.text, _LINE))} for line in changed[:_MOST_LINES]]
    label = text(clip(f"{edit.label}, edited by {edit.by}", 200))
    return {"label": label, "lines": lines, "more": max(len(changed) - _MOST_LINES, 0)}


def _line(line: DigestLine) -> Row:
    return {
        "risk": _RISKS[line.risk],
        "who": text(clip(line.requester, 80) or "?"),
        "what": text(clip(line.what, 120) or "?"),
        "preview": text(clip(line.preview, 90)) if line.pending and line.preview.strip() else None,
        "status": text(clip(line.sentence, 200)) if not line.pending else text(f"Decide by {when(line.deadline_ms)}"),
        "pending": line.pending,
        "id": line.id,
    }
