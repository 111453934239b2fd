from __future__ import annotations

import pytest

from holdpoint.mailbox import mailbox


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("team@example.com", "team@example.com"),
        ("Team.A+b_c@Example.COM", "Team.A+b_c@example.com"),
        ("root@localhost", "root@localhost"),
        ("a@bücher.example", "a@xn--bcher-kva.example"),
        ("a@1.example", "a@1.example"),
    ],
)
def test_one_address(text: str, address: str) -> None:
    assert mailbox(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "", "@", "a", "a@", "@example.com", "a@b@example.com", "Sam <a@example.com>", "<a@example.com>", "a@example.com,b@example.com",
        "a@example.com\r\nBcc: b@example.com", "a@example.com\n", "a\n@example.com", " a@example.com", "a@exa mple.com", ".a@example.com",
        "a..b@example.com", "a.@example.com", '"a b"@example.com', "ä@example.com", "a@[127.0.0.1]", "a@-x.example", "a@x-.example",
        "a@.example", "a@example.com.", "a@exam_ple.com", "dm:a@example.com", "a@example.com?subject=x", f"{'a' * 65}@example.com",
        f"a@{'b' * 64}.example", f"a@{'.'.join(['b' * 60] * 5)}", "a@x\u200b.example.com", "a\u202e@example.com", "a@\ud800.example",
    ],
)  # fmt: skip
def test_anything_else_is_none(text: str) -> None:
    assert mailbox(text) is None
