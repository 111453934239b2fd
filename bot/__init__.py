"""The control path: what people see and click. Read notify.py, cards.py, decide.py, then one folder per channel."""
