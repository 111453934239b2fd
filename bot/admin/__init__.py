"""What the commands do, one file per family; `bot/commands.py` is the table of them all.

A handler takes an `Office` (what it works with) and a `Call` (who typed what), and gives back an `Answer`. It may raise
any error of Holdpoint's own; the dispatcher puts it in words.
"""
