"""The content of a message or item in the OpenAI protocol: a string, or parts, of which some are text and others attachments."""

from __future__ import annotations

from typing import Any

from gateway.protocols.openai_leaves import Found, escaped, wrong_type
from holdpoint.model import PartRole

# The member of a content part that is its text, by the part's type.
_TEXTUAL = {
    "text": "text",
    "input_text": "text",
    "output_text": "text",
    "summary_text": "text",
    "reasoning_text": "text",
    "refusal": "refusal",
    "thinking": "thinking",
}
_ATTACHMENTS = {
    "image_url": "an image",
    "input_image": "an image",
    "image": "an image",
    "image_pil": "an image",
    "image_embeds": "an image",
    "audio_embeds": "audio",
    "video_embeds": "a video",
    "prompt_embeds": "embeddings",
    "input_audio": "audio",
    "audio_url": "audio",
    "audio": "audio",
    "video_url": "a video",
    "video": "a video",
    "file": "a file",
    "input_file": "a file",
}
_TEXT_NAMES = frozenset({"type", "uuid", "annotations", "logprobs", "cache_control", *_TEXTUAL.values(), *_ATTACHMENTS})
_PAYLOAD = frozenset({"data", "file_data", "url", "image_url", "audio_url", "video_url", "image"})
_LONGEST_SHOWN = 2048  # a longer string in an attachment is its payload; `uninspectable` speaks for it


def content(found: Found, path: str, value: Any, role: PartRole) -> None:
    """The content of a message or item: a string, or a list of content parts."""
    if isinstance(value, str):
        found.text(path, role, value)
    elif isinstance(value, list):
        for index, part in enumerate(value):
            _content_part(found, f"{path}/{index}", part, role)
    elif value is not None:
        raise wrong_type(path, "a string or a list of content parts")


def _content_part(found: Found, path: str, part: Any, role: PartRole) -> None:
    if isinstance(part, str):
        found.text(path, role, part)
        return
    if not isinstance(part, dict):
        raise wrong_type(path, "a content part")
    kind = part.get("type", "text" if "text" in part else None)
    member = _TEXTUAL.get(kind) if isinstance(kind, str) else None
    if member is None:
        _attachment(found, path, kind, part)
        return
    if not isinstance(part.get(member), str):
        raise wrong_type(f"{path}/{member}", "a string")
    found.odd_keys(path, part, _TEXT_NAMES)
    for key, item in part.items():
        if key == member:
            found.text(f"{path}/{member}", role, item)
        elif key in _ATTACHMENTS and (item is not None or part.get("uuid") is not None):
            # Without a type, or with an id, vLLM takes the part for what this member names.
            found.uninspectable.append(f"{_ATTACHMENTS[key]} in {path}")
            found.leaves(f"{path}/{key}", _without_payload({key: item}).get(key), PartRole.PARAMETER)
        elif key != "type":
            found.leaves(f"{path}/{escaped(key)}", item, PartRole.PARAMETER)


def _attachment(found: Found, path: str, kind: Any, part: dict[str, Any]) -> None:
    """Something that is no text, or that nobody knows. Its short strings are parts all the same."""
    what = _ATTACHMENTS.get(kind) if isinstance(kind, str) else None
    found.uninspectable.append(f"{what or 'a content part of an unknown type'} in {path}")
    found.leaves(path, _without_payload(part) if what else part, PartRole.PARAMETER)


def _without_payload(value: Any) -> Any:
    """``value`` without the long strings where an attachment keeps its bytes."""
    if isinstance(value, dict):
        return {
            key: _without_payload(item)
            for key, item in value.items()
            if not (key in _PAYLOAD and isinstance(item, str) and len(item) > _LONGEST_SHOWN)
        }
    return value
