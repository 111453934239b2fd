"""What the processes share in Redis. Read store.py, then holding.py and holds.py, then lua/."""

from holdpoint.store.cards import CardPlace
from holdpoint.store.config import StoredPolicy
from holdpoint.store.drafts import Draft
from holdpoint.store.events import Entry
from holdpoint.store.responses import StoredResponse
from holdpoint.store.store import Store

__all__ = ["CardPlace", "Draft", "Entry", "Store", "StoredPolicy", "StoredResponse"]
