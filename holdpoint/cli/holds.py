"""`holdpoint holds list|show|approve|reject`: decide from a terminal, over the bot's review API.

Through the API and not through Redis, so that the same code authorises every decision, by the reviewer whose key is in
HOLDPOINT_KEY. A decision names the digest of what was shown; when the held text has changed since, nothing happens.
"""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

import click

from holdpoint import apikey
from holdpoint.cli.common import Refused, json_option, print_json, print_table, print_text, settings_with_logs
from holdpoint.errors import ConfigurationError
from holdpoint.model import DecisionKind, State
from holdpoint.visible import visible_line

_TIMEOUT_S = 30


@click.group()
def holds() -> None:
    """Requests that wait, waited or were decided."""


@holds.command("list")
@click.option(
    "--state", type=click.Choice([*(state.value for state in State), "all"]), default="pending", show_default=True
)
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@json_option
def list_(*, state: str, limit: int, as_json: bool) -> None:
    """Holds in one state, newest first."""
    found: list[dict[str, Any]] = []
    query = {} if state == "all" else {"state": state}
    while True:
        page = _call("GET", "/api/v1/holds?" + urllib.parse.urlencode(query))
        found.extend(page["holds"])
        if not page.get("next") or len(found) >= limit:
            break
        query["cursor"] = page["next"]
    found = found[:limit]
    if as_json:
        print_json({"holds": found})
        return
    print_table(
        ["ID", "STATE", "REQUESTER", "CONNECTION", "RISK", "CREATED", "DEADLINE"],
        [
            [
                str(hold["id"]),
                str(hold["state"]),
                str(hold["requester"]["principal"]),
                str(hold["connection"]),
                str(hold["risk"]),
                str(hold["created_at"]),
                str(hold["deadline"]),
            ]
            for hold in found
        ],
    )


@holds.command()
@click.argument("hold_id")
@json_option
def show(*, hold_id: str, as_json: bool) -> None:
    """One hold, with everything that a reviewer sees."""
    hold = _call("GET", _path(hold_id))
    if as_json:
        print_json(hold)
    else:
        _print_hold(hold)


@holds.command()
@click.argument("hold_id")
@click.option("--digest", help="The digest of what you saw, from `show`. Without it: of what is held now.")
@click.option("--reason", default="", help="For the record.")
@click.option("--edit", "edits", multiple=True, metavar="PART=TEXT", help="Replace a part of the query (repeat).")
@json_option
def approve(*, hold_id: str, digest: str | None, reason: str, edits: tuple[str, ...], as_json: bool) -> None:
    """Let a request pass, as it is or with edits."""
    parts = []
    for edit in edits:
        part, found, text = edit.partition("=")
        if not found:
            raise click.UsageError("--edit: must be PART=TEXT, such as 'messages/0/content=a harmless question'")
        parts.append({"part": part, "text": text})
    _decide(hold_id, DecisionKind.APPROVE, digest, reason, parts, as_json=as_json)


@holds.command()
@click.argument("hold_id")
@click.option("--digest", help="The digest of what you saw, from `show`. Without it: of what is held now.")
@click.option("--reason", required=True, help="What the requester is told.")
@json_option
def reject(*, hold_id: str, digest: str | None, reason: str, as_json: bool) -> None:
    """Refuse a request, with a reason."""
    _decide(hold_id, DecisionKind.REJECT, digest, reason, [], as_json=as_json)


def _decide(
    hold_id: str, kind: DecisionKind, digest: str | None, reason: str, edits: list[dict[str, str]], *, as_json: bool
) -> None:
    body: dict[str, object] = {"decision": kind, "digest": digest or _call("GET", _path(hold_id))["digest"]}
    if reason:
        body["reason"] = reason
    if edits:
        body["edits"] = edits
    hold = _call("POST", _path(hold_id) + "/decisions", body)
    if as_json:
        print_json(hold)
    else:
        print_text(f"{hold['id']} is {hold['state']}")


def _path(hold_id: str) -> str:
    return "/api/v1/holds/" + urllib.parse.quote(hold_id, safe="", errors="replace")


def _call(method: str, path: str, body: dict[str, object] | None = None) -> Any:
    """One call of the review API; the parsed answer.

    Raises:
        ConfigurationError: no key, an unknown key, or no bot.
        Refused: the API says no, and why.
    """
    settings = settings_with_logs()
    if settings.key is None:
        raise ConfigurationError("HOLDPOINT_KEY: a reviewer's key is needed (holdpoint keys create --role reviewer …)")
    if apikey.is_mistyped(settings.key.get_secret_value()):
        raise ConfigurationError("HOLDPOINT_KEY: not a whole Holdpoint key; it was cut or mistyped")
    request = urllib.request.Request(  # noqa: S310 - the operator's own HOLDPOINT_PUBLIC_URL
        settings.link_base + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={
            "Authorization": f"Bearer {settings.key.get_secret_value()}",
            "Content-Type": "application/json",
            "Accept": "application/json",
        },
    )
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - as above
            return json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            why = _why(error)
        if error.code == 401:
            raise ConfigurationError(f"HOLDPOINT_KEY: {why}") from None
        raise Refused(why) from None
    except (ValueError, http.client.HTTPException):
        raise ConfigurationError(f"{settings.link_base}: what answers there is not Holdpoint's bot") from None
    except OSError as error:
        cause = error.reason if isinstance(error, urllib.error.URLError) else error
        raise ConfigurationError(f"the bot at {settings.link_base} cannot be reached: {cause}") from None


def _why(error: urllib.error.HTTPError) -> str:
    """The sentence of the API's error body; the status when something else answered."""
    try:
        return str(json.loads(error.read(65536))["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"the answer was {error.code} {error.reason}"


def _print_hold(hold: dict[str, Any]) -> None:
    """What a reviewer needs; ``--json`` has everything."""
    requester = hold["requester"]
    owner = f", owned by {requester['owner']}" if requester["owner"] else ""
    lines = [
        ("id", hold["id"]),
        ("state", f"{hold['state']}: {hold['state_sentence']}"),
        ("requester", f"{requester['principal']} ({', '.join(requester['groups']) or 'no group'}){owner}"),
        ("model", f"{hold['model']} over {hold['connection']} ({hold['environment']})"),
        ("risk", hold["risk"]),
        *(("rule", f"{rule['id']}: {rule['description']}") for rule in hold["rules"]),
        *(
            ("needs", f"{need['approvals']} of {need['group']}; so far {len(need['people'])}")
            for need in hold["requirements"]
        ),
        *(("uninspectable", what) for what in hold["uninspectable"]),
        ("created", hold["created_at"]),
        ("deadline", hold["deadline"]),
        ("digest", hold["digest"]),
        *(
            ("decision", f"{done['decision']} by {done['by']}: {done['reason'] or 'no reason'}")
            for done in hold["decisions"]
        ),
    ]
    for name, text in lines:
        click.echo(f"{name:<13} {visible_line(str(text))}")
    for part in hold["parts"]:
        click.echo(f"\n[{visible_line(part['path'])}] {part['role']}")
        print_text(part["text"])
