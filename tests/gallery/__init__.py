"""Pictures of every card in every state, for docs/gallery: `python -m tests.gallery` (`make gallery`). A tool, and its tests.

`holds.py` makes the holds, `cases.py` says which are shown; `pictures.py` lists the pictures of Slack, `teams.py` those of
Teams, and `__main__.py` draws them in Chromium, with npm packages (`tools.py`): Slack's by slack-blocks-to-jsx (`render.mjs`),
Teams' by Microsoft's own renderer (`teams.html`, `teams.js`, `teams_look.json`).

What a text can do in Slack is tested elsewhere (tests/bot/slack/test_corpus.py), because that renderer decodes and formats in
its own way. What it can do in Teams is tested here as well (`test_teams.py`), where that renderer has been installed.
"""
