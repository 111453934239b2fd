"""The tools that a model is offered, wherever in a body of the OpenAI protocol they stand: their names, and every string."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gateway.protocols.openai_leaves import Found, check_names, wrong_type
from holdpoint.model import PartRole

_NAMED_INSIDE = ("function", "custom")
_TOOL_NAMES = frozenset({"type", *_NAMED_INSIDE, "name", "description", "parameters", "strict"})


def definitions(found: Found, name: str, item: Any) -> None:
    """``tools`` or ``functions``, of a body or of a message."""
    if not isinstance(item, list):
        raise wrong_type(name, "a list")
    for index, tool in enumerate(item):
        if not isinstance(tool, dict):
            raise wrong_type(f"{name}/{index}", "an object")
        found.tools.extend(dict.fromkeys(_names(tool)))
        found.leaves(f"{name}/{index}", tool, PartRole.DEFINITION)


def _names(tool: dict[str, Any]) -> Iterator[str]:
    """Its name, wherever a server may look for it; of built-in tools, and of those without a name, the type."""
    named = False
    for holder in (tool.get("function"), tool.get("custom"), tool):
        if isinstance(holder, dict):
            check_names(holder, _TOOL_NAMES)
            name = holder.get("name")
            if isinstance(name, str):
                named = True
                yield name
    kind = tool.get("type")
    if not named or (isinstance(kind, str) and kind not in _NAMED_INSIDE):
        yield kind if isinstance(kind, str) else "unknown"
