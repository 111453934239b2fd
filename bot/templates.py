"""Everything that people see comes out of ``templates/``, through the one environment here (the only user of Jinja2).

``.html`` and ``.xml`` files escape by themselves; in ``.json.j2`` every value goes through ``tojson``; ``.txt`` is plain text. An
unknown name in a template is an error, never an empty string.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

FOLDER = Path(__file__).resolve().parent.parent / "templates"
"""Beside the packages, in a checkout and in an installed wheel alike."""


def render(name: str, /, **context: Any) -> str:
    """The template ``name`` ("web/inbox.html", "slack/card.json.j2") with ``context``."""
    return _environment().get_template(name).render(**context)


_JSON = json.JSONEncoder(ensure_ascii=False)


@cache
def _environment() -> Environment:
    # No user ever writes a template, so the sandbox is not needed.
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=select_autoescape(enabled_extensions=("html", "xml"), default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
    )
    environment.filters["tojson"] = _tojson
    environment.filters["utc"] = _utc
    return environment


def _tojson(value: Any) -> str:
    """JSON as it stands in a JSON document. A plain string, so that an HTML template would still escape it."""
    return _JSON.encode(value)


def _utc(seconds: int) -> str:
    """``2026-01-02T03:04:05Z``."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
