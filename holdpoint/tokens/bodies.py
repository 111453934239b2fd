"""What a server answered, as a JSON object, and never more of it than expected."""

from __future__ import annotations

from typing import Any

import aiohttp
import orjson

_CHUNK = 64 * 1024


async def read_object(answer: aiohttp.ClientResponse, *, most_bytes: int) -> dict[str, Any]:
    """The JSON object in the body; an empty one where it is something else.

    Raises:
        ValueError: it is longer than ``most_bytes``.
        aiohttp.ClientError, OSError, TimeoutError: it did not arrive whole.
    """
    body = b""
    async for piece in answer.content.iter_chunked(_CHUNK):
        body += piece
        if len(body) > most_bytes:
            raise ValueError("the answer is too long")
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}
