"""The numbers of all workers of one gateway, whichever of them is asked.

::

    scrape ─▶ any worker ─┬─ its own numbers
                          └─ over a private Unix socket each: those of the others ─▶ one text; `worker` tells them apart

A worker that does not answer in time is missing from the scrape, and `holdpoint_worker_up` says so.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from pathlib import Path

from gateway.place import Worker
from holdpoint.metrics import Metrics

_ANSWERS_IN_S = 1.0
_UP = b"holdpoint_worker_up"


class Siblings:
    """`start` before use, `stop` at the end. ``metrics`` are this worker's own."""

    def __init__(self, worker: Worker, metrics: Metrics) -> None:
        self._worker = worker
        self._metrics = metrics
        self._listening: asyncio.Server | None = None

    async def start(self) -> None:
        """Answer the other workers. Raises OSError when that is impossible."""
        mine = self._path(self._worker.number)
        mine.unlink(missing_ok=True)  # of this worker's predecessor, which was killed
        self._listening = await asyncio.start_unix_server(self._tell, mine)

    async def stop(self) -> None:
        if self._listening is not None:
            self._listening.close()
            self._path(self._worker.number).unlink(missing_ok=True)

    async def render(self) -> bytes:
        """The numbers of all workers in Prometheus' text format."""
        numbers = range(1, self._worker.of + 1)
        texts = await asyncio.gather(*(self._of(number) for number in numbers))
        up = b"".join(
            b'%b{worker="%d"} %d\n' % (_UP, number, bool(text)) for number, text in zip(numbers, texts, strict=True)
        )
        head = b"# HELP %b Whether a worker answered this scrape\n# TYPE %b gauge\n" % (_UP, _UP)
        return merged(texts) + head + up

    async def _of(self, number: int) -> bytes:
        """The numbers of one worker; empty when it is away."""
        if number == self._worker.number:
            return self._metrics.render()
        with contextlib.suppress(OSError):  # a time-out is one, too
            async with asyncio.timeout(_ANSWERS_IN_S):
                reader, writer = await asyncio.open_unix_connection(self._path(number))
                try:
                    return await reader.read()
                finally:
                    writer.close()
        return b""

    async def _tell(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            writer.write(self._metrics.render())
            await writer.drain()
        writer.close()

    def _path(self, number: int) -> Path:
        return self._worker.folder / f"{number}.sock"


def merged(texts: Iterable[bytes]) -> bytes:
    """Several texts as one: each family once, with the samples of all, as the format demands."""
    families: dict[bytes, list[bytes]] = {}
    for text in texts:
        for block in text.split(b"# HELP ")[1:]:
            help_line, type_line, *samples = block.splitlines(keepends=True)
            name = help_line.split(b" ", 1)[0]
            families.setdefault(name, [b"# HELP " + help_line, type_line]).extend(samples)
    return b"".join(line for lines in families.values() for line in lines)
