"""A body of the OpenAI protocol → `Query`: every string in it becomes a part, or the body is refused.

::

    messages, prompt                        text by who speaks it            (openai_text, openai_content)
    input, instructions                     items of the Responses API       (openai_items)
    tools, functions                        names, definitions               (openai_tools)
    everything else, known or not           parameters: strings and keys     (openai_leaves)

What cannot be read as text (images, token ids, what is stored elsewhere) is named in ``uninspectable``; what has the
wrong type is refused, because nobody could say what a model server makes of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gateway.protocols import openai_text as text
from gateway.protocols.openai_items import instructions, items
from gateway.protocols.openai_leaves import Found, check_names, wrong_type
from gateway.protocols.openai_tools import definitions
from holdpoint import canonical
from holdpoint.errors import Refusal
from holdpoint.model import PartRole, Query, RefusalCode

Reader = Callable[[Found, str, Any], None]


def read_query(connection: str, endpoint: str, raw: bytes) -> Query:
    """Parse ``raw`` strictly and collect its parts.

    Raises:
        Refusal: 400, when it is not one unambiguous JSON object, or a known field has the wrong type.
    """
    try:
        value = canonical.parse(raw)
        body = canonical.serialise(value, raw)
    except canonical.NotCanonical as error:
        raise _unreadable(f"The body is not acceptable JSON: {error}.") from None
    if not isinstance(value, dict):
        raise _unreadable("The body is not a JSON object.")
    model = value.get("model")
    if not isinstance(model, str) or not model:
        raise wrong_type("model", "a string")
    found = Found()
    readers = _RESPONSES if endpoint == "responses" else _OTHERS
    unknown = False
    for name, item in value.items():
        reader = readers.get(name)
        if reader is not None:
            if item is not None:
                reader(found, name, item)
        elif name != "model":  # checked above, and a condition of its own; a policy sees it there
            unknown = unknown or name not in _KNOWN_SCALARS
            found.leaves(canonical.join("", name), item, PartRole.PARAMETER)
    if unknown:
        check_names(value, _NAMES)
        found.keys("", value)
    return Query(
        connection=connection,
        endpoint=endpoint,
        model=model,
        parts=tuple(found.parts),
        tools=tuple(found.tools),
        stream=value.get("stream") is True,
        prompt_tokens=found.tokens(),
        max_tokens=_max_tokens(value),
        uninspectable=tuple(dict.fromkeys(found.uninspectable)) if found.uninspectable else (),
        body=body,
    )


def _unreadable(reason: str) -> Refusal:
    return Refusal(RefusalCode.UNINSPECTABLE, reason, status=400)


def _max_tokens(value: dict[str, Any]) -> int | None:
    """The largest of the limits that are named: model servers differ in which one they heed.

    Below one is no limit: llama.cpp and LM Studio take -1 for that, Ollama takes 0.
    """
    if _LIMITS.isdisjoint(value):
        return None
    named = [value[name] for name in _LIMITS if value.get(name) is not None]
    return max(named) if named and min(named) > 0 else None


def _boolean(_found: Found, name: str, item: Any) -> None:
    if not isinstance(item, bool):
        raise wrong_type(name, "true or false")


def _count(_found: Found, name: str, item: Any) -> None:
    if not isinstance(item, int) or isinstance(item, bool):
        raise wrong_type(name, "a whole number")


def _token_ids(_found: Found, name: str, item: Any) -> None:
    """Steering by token ids says nothing by itself, and is no text."""
    if not isinstance(item, list) or not all(isinstance(i, int) and not isinstance(i, bool) for i in item):
        raise wrong_type(name, "a list of whole numbers")


def _logit_bias(found: Found, name: str, item: Any) -> None:
    """Token ids again, as keys (strings of digits), or as pairs (llama.cpp)."""
    if isinstance(item, dict) and all(
        key.isdigit() and not isinstance(v, str | list | dict) for key, v in item.items()
    ):
        return
    found.leaves(name, item, PartRole.PARAMETER)


def _template_arguments(found: Found, name: str, item: Any) -> None:
    """What a chat template is given besides. In vLLM it comes before what the body itself names."""
    for key, what in _OVERRIDDEN.items():
        if isinstance(item, dict) and item.get(key) is not None:
            found.uninspectable.append(f"{what} in {name}")
    found.leaves(name, item, PartRole.PARAMETER)


def _elsewhere(what: str) -> Reader:
    """Something that the model sees and the gateway does not: it is stored elsewhere, or only made there."""

    def reader(found: Found, name: str, item: Any) -> None:
        found.uninspectable.append(f"{what} in {name}")
        found.leaves(name, item, PartRole.PARAMETER)

    return reader


_OWN_TEMPLATE = "a template of its own"  # a program: what it makes of the messages may be any text
_OVERRIDDEN = {"chat_template": _OWN_TEMPLATE, "tools": "other tools"}
_LIMITS = frozenset({"max_completion_tokens", "max_tokens", "max_output_tokens", "n_predict"})
_SHARED: dict[str, Reader] = {
    "messages": text.messages,
    "tools": definitions,
    "functions": definitions,
    "stream": _boolean,
    "n": _count,
    **dict.fromkeys(_LIMITS, _count),
    "stop_token_ids": _token_ids,
    "allowed_token_ids": _token_ids,
    "logit_bias": _logit_bias,
    "previous_response_id": _elsewhere("an earlier response"),
    "conversation": _elsewhere("a stored conversation"),
    "prompt_embeds": _elsewhere("embeddings"),
    "chat_template": _elsewhere(_OWN_TEMPLATE),
    "chat_template_kwargs": _template_arguments,
    "instructions": instructions,
    "suffix": text.suffix,
}
_RESPONSES: dict[str, Reader] = _SHARED | {
    "input": items,
    "prompt": _elsewhere("a stored prompt"),
}
# llama.cpp embeds `content` where there is no `input`.
_OTHERS: dict[str, Reader] = _SHARED | {"input": text.prompt, "prompt": text.prompt, "content": text.prompt}
# Names that say nothing by themselves; the value of each is still looked at. Any other name is shown as text.
_KNOWN_SCALARS = frozenset(
    """audio add_generation_prompt background best_of cache_prompt cache_salt continue_final_message
    dimensions documents dynatemp_range early_stopping echo encoding_format frequency_penalty
    function_call grammar guided_choice guided_grammar guided_json guided_regex id_slot ignore_eos include
    include_stop_str_in_output json_schema length_penalty logprobs max_tool_calls metadata min_p min_tokens mirostat
    modalities moderation parallel_tool_calls prediction presence_penalty priority prompt_cache_key prompt_cache_retention
    prompt_logprobs reasoning reasoning_effort reasoning_format repeat_last_n repeat_penalty repetition_penalty
    request_id response_format return_tokens_as_token_ids safety_identifier samplers seed service_tier skip_special_tokens
    spaces_between_special_tokens stop store stream_options structured_outputs temperature text timings_per_token tool_choice
    top_k top_logprobs top_p truncate_prompt_tokens truncation typical_p user verbosity web_search_options""".split()  # noqa: SIM905 - a table of words
)
_NAMES = _KNOWN_SCALARS | _RESPONSES.keys() | _OTHERS.keys() | {"model"}
