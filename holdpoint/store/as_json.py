"""Values and frozen types of the model → JSON."""

from __future__ import annotations

from typing import Any

import orjson


def dump(value: Any) -> Any:
    """A dataclass of the model as plain JSON values, with its sets sorted so that the same thing looks the same."""
    if isinstance(value, frozenset):
        return sorted(value)
    raise TypeError(type(value).__name__)


def to_json(value: Any) -> bytes:
    """JSON of values and frozen types of the model."""
    return orjson.dumps(value, default=dump)
