from __future__ import annotations

import asyncio

from tests.fakes.teams.server import run

asyncio.run(run())
