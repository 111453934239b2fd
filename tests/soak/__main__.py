"""``python -m tests.soak --minutes 30 [--seed N]``: exit code 0 when nothing broke."""

from __future__ import annotations

import argparse
import asyncio
import secrets
import sys
import tempfile
from pathlib import Path

from tests.soak.run import soak


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.soak", description="Mixed load with killed gateways; see tests/soak.")
    parser.add_argument("--minutes", type=float, default=30, help="length of the load (default: 30)")
    parser.add_argument("--seed", type=int, default=None, help="of an earlier run; default: another one each time")
    options = parser.parse_args()
    seed = secrets.randbelow(10**6) if options.seed is None else options.seed
    sys.stderr.write(f"seed {seed}, {options.minutes:g} minutes …\n")
    with tempfile.TemporaryDirectory(prefix="hp-soak-") as folder:
        report = asyncio.run(soak(options.minutes * 60, seed, Path(folder)))
    sys.stdout.write(f"{report.text()}\n")
    return 1 if report.broken else 0


if __name__ == "__main__":
    sys.exit(main())
