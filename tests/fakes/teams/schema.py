"""The Adaptive Card schema 1.5.0 that Microsoft publishes, where HOLDPOINT_PEERS names a folder with it."""

from __future__ import annotations

import json
import os
from functools import cache, lru_cache
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]
from jsonschema.exceptions import best_match  # type: ignore[import-untyped]

from tests.fakes.teams.things import Json

SCHEMA_FILE = Path(os.environ.get("HOLDPOINT_PEERS", "/nowhere")) / "adaptive-cards" / "adaptive-card-1.5.0.json"


@cache
def _validator() -> jsonschema.Draft6Validator | None:
    return jsonschema.Draft6Validator(json.loads(SCHEMA_FILE.read_text())) if SCHEMA_FILE.exists() else None


def schema_problems(card: Json) -> list[str]:
    """What the schema says against the card; it does not know Teams' own ``msteams``."""
    return _problems(json.dumps({name: value for name, value in card.items() if name != "msteams"}))


@lru_cache(maxsize=512)
def _problems(card: str) -> list[str]:
    validator = _validator()
    if validator is None:
        return []
    error = best_match(validator.iter_errors(json.loads(card)))
    return [] if error is None else [f"by the schema, {error.json_path}: {error.message[:200]}"]
