"""How fast Holdpoint is, beside what it is compared with, in one run. ``make bench``; options in ``ARGS``.

::

    load (wrk, or `load.PythonLoad`) ─▶ target ─▶ upstream          core 1: load, upstream, Redis; core 0: the target
                                        ├ direct (no target)
                                        ├ nginx                     `nginx`
                                        ├ bare aiohttp pass-through `bare_proxy`
                                        ├ this gateway              `holdpoint_parts`: real process, real Redis
                                        └ LiteLLM, Portkey          `peers`: with --peers, after make bench-peers

`throughput` (and streams) · `identity` (who asks, by key and by token) · `waiting` (holds held open, decision to release) ·
`swap` (a new policy under load) · `workers` (one and two) · `cards` (drawn and posted) are the sections; `plan` says how
much of each; `judge` holds the throughput against its targets; `report` prints everything and writes
``docs/performance.md``, `chart` the picture beside it.
Rounds are interleaved and medians taken: the machine changes while one measures, the ratios hardly do.
"""
