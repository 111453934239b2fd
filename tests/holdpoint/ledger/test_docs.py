"""The lines of Python in docs/ledger.md, with which anybody checks a ledger by hand, do what they say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from holdpoint.ledger.export import to_jsonl
from holdpoint.ledger.search import stretch
from holdpoint.ledger.sql import Ledger
from tests.holdpoint.ledger.samples import story

DOCS = Path(__file__).parents[3] / "docs" / "ledger.md"
SNIPPETS = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("tampered", [False, True])
def test_checking_by_hand(tmp_path: Path, which: int, *, tampered: bool) -> None:
    ledger = Ledger.open(f"sqlite:///{tmp_path / 'data' / 'ledger.sqlite3'}")
    ledger.append(story())
    lines = "".join(to_jsonl(ledger.pages(stretch(None, None))))
    ledger.close()
    (tmp_path / "export.jsonl").write_text(lines.replace("sam@", "tom@") if tampered else lines)
    change = "SELECT 1" if not tampered else "UPDATE holdpoint_ledger SET subject = 'x' WHERE seq = 3"
    program = (
        "import sqlite3; c = sqlite3.connect('data/ledger.sqlite3'); c.execute('DROP TRIGGER holdpoint_ledger_no_update'); "
        f'c.execute("{change}"); c.commit(); c.close()\n{SNIPPETS[which]}'
    )
    ended = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ended.returncode, "AssertionError: 3" in ended.stderr) == ((1, True) if tampered else (0, False))
