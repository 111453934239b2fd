from __future__ import annotations

import json

import jinja2
import pytest

from bot.templates import FOLDER, _environment, render


def test_pages_escape_by_themselves() -> None:
    html = render("web/message.html", title="<b>", text='"><script>alert(1)</script>')
    assert "<script>alert" not in html
    assert "&lt;script&gt;" in html


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError):
        render("web/message.html", title="only this")


def test_tojson_is_json_and_no_markup() -> None:
    value = 'a"b</script>\n⟨U+202E⟩'
    environment = _environment()
    assert json.loads(environment.filters["tojson"](value)) == value
    assert not hasattr(environment.filters["tojson"](value), "__html__")


def test_no_page_has_inline_script_or_style() -> None:
    for path in FOLDER.glob("web/*.html"):
        source = path.read_text()
        assert "style=" not in source, path
        assert "onclick" not in source, path
        assert "<script>" not in source, path
        assert "|safe" not in source.replace(" ", ""), path
