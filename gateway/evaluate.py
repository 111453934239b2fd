"""Where the policy is evaluated: at once for what is small, in a thread and under a time limit for what is large.

A hostile text of some size can keep the matching engine busy for seconds. It may not stop the other requests meanwhile,
and it may not wait for ever: when the time is over the request counts as not inspected, which is refused, or held.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from holdpoint.model import Evaluation, Query, Requester
from holdpoint.policy import Policy

_LONGEST_S = 1.0
_THREADS = 4  # who finds them all busy waits, and the wait counts


class Evaluator:
    """``longest_s`` is the time limit, in seconds. `close` at the end."""

    def __init__(self, *, longest_s: float = _LONGEST_S) -> None:
        self._longest_s = longest_s
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="policy")

    async def evaluate_large(self, policy: Policy, query: Query, requester: Requester, at_ms: int) -> Evaluation:
        """`Policy.evaluate` for what `Policy.is_large`."""
        try:
            async with asyncio.timeout(self._longest_s):
                return await asyncio.get_running_loop().run_in_executor(
                    self._threads, policy.evaluate, query, requester, at_ms
                )
        except TimeoutError:
            return policy.evaluate(query, requester, at_ms, uninspected="it took too long")

    def close(self) -> None:
        """Take no more. A thread cannot be stopped: one that is busy ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)
