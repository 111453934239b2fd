from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.cli import Cli


@pytest.fixture
def cli(tmp_path: Path, redis_url: str) -> Cli:
    """The program against an empty Redis and an empty folder."""
    return Cli(tmp_path, {"HOLDPOINT_REDIS_URL": redis_url, "HOLDPOINT_DATA": str(tmp_path / "data")})
