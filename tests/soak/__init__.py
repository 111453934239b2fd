"""Mixed load on real processes, gateways killed at random: is every promise kept, and does anything leak?

::

    `traffic` (clean, held, blocked, slow, cut, malformed) ─▶ three gateways ─▶ `model` (counts the marks in the bodies)
    `people` (decide through the review API) ─▶ bot          two of them are killed and restarted; one lives through
    `run` brings them together for so long; `check` looks at what is left: the model, the holds, the ledger, the processes

``python -m tests.soak --minutes 30 [--seed N]``; a short run is in `test_soak`. Each request carries a mark of its own,
``soak-KIND-NUMBER-``, so that what the model got, what was decided and what was recorded can be laid side by side.
"""
