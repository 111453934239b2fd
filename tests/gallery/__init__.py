"""Pictures of every card in every state, for docs/gallery: `python -m tests.gallery` (`make gallery`). A tool, not a test.

`holds.py` makes the holds, `pictures.py` lists what is drawn, `__main__.py` draws it: the payloads go through
slack-blocks-to-jsx (npm) and Chromium. That shows what a card looks like; what a text can do in Slack is tested elsewhere
(tests/bot/slack/test_corpus.py), because the renderer decodes and formats in its own way.
"""
