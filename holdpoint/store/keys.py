"""Every key that Holdpoint keeps in Redis: its type, its life, and who writes it.

All keys carry the hash tag of their partition, so that each script touches one slot only on a Redis Cluster. There is
one partition, ``{p00}``, today; nothing but this file would have to know of a second one.
"""

from __future__ import annotations

from holdpoint.model import State

_TAG = "hp:{p00}:"

# Streams. No TTL: trimmed up to what every consumer group has acknowledged.
EVENTS = _TAG + "events"  # stream: changes of holds, cards and configuration; the outbox of cards and ledger
TRAFFIC = _TAG + "traffic"  # stream: requests that were never held; the outbox of the ledger alone

# Indexes. No TTL: entries leave with the state, or with the retention time (janitor).
DUE = _TAG + "due"  # zset: hold id by the time (ms) at which the timer looks at it next
GATEWAYS = _TAG + "gateways"  # zset: gateway process by its last beat (ms); 0 when retired by a successor

# Configuration. No TTL: what an operator put there.
REVISION = _TAG + "revision"  # int: grows with every change below
POLICY_HEAD = _TAG + "policy:head"  # int: version of the policy in force
POLICY_VERSIONS = _TAG + "policy:versions"  # hash: version to JSON (text, by, at_ms, note)
API_KEYS = _TAG + "keys"  # hash: key id to JSON (KeyRecord; holds the SHA-256 of the key, never the key)
KEY_USES = _TAG + "keys:used"  # hash: key id to when it was last used (ms), to the minute. As many entries as API_KEYS
CHANGES = _TAG + "changes"  # hash: change id to JSON (Change); waits for a second admin. Entries leave with their end
ROUTES = _TAG + "routes"  # hash: "group\tchannel" to JSON (by, at_ms); routes that were added by command
GRANTS = _TAG + "grants"  # hash: grant id to JSON (Grant). Entries leave a retention time after they have ended
LINKS = _TAG + "links"  # hash: "slack:U0123" to JSON (Link), void ones too. Entries leave when they are unlinked
ABSENCES = (
    _TAG + "absences"
)  # hash: principal to JSON (Absence). Entries leave with the return, or once they have lapsed
PAUSES = _TAG + "pauses"  # hash: connection ("*": all of them) to JSON (Pause). Entries leave with the resumption

INSTALLATIONS = (
    _TAG + "installations"
)  # hash: "slack:T0123" to JSON (Installed; its token is locked). Leaves with the app

CONVERSATIONS = _TAG + "conversations"  # hash: "teams:<id>" to JSON (Conversation). Leaves with the app
CONVERSATIONS_OF = _TAG + "conversations:of"  # hash: "teams:<principal>" to the id of the conversation with that person

PASSKEY_OWNERS = (
    _TAG + "passkeys:owners"
)  # hash: credential id to principal, so that it is nobody else's. No TTL: as `passkeys`

# Reviews of what was done in haste. No TTL: entries leave a retention time after they were reviewed, not before.
GLASS = _TAG + "glass"  # hash: hold id to JSON (BrokenGlass)

LIMITED = _TAG + "limited"  # zset: budget (JSON) by the time (ms) at which it was used last. TTL: a day from the last

# Cards. No TTL.
QUIET = _TAG + "quiet"  # hash: principal to how much of their own requests they want to hear of
# An entry leaves with the next success, or a retention time after the last refusal.
FAILING = _TAG + "failing"  # hash: target that refuses cards to JSON (text, at_ms)
DIGESTS = _TAG + "digests"  # hash: target to the bundle that takes in holds there while it is pressed


def hold(hold_id: str) -> str:
    """hash: one hold (see codec.py). TTL: its life, by its deadline as it stands, + retention; retention once closed."""
    return f"{_TAG}hold:{hold_id}"


def state(of: State) -> str:
    """zset: the holds in this state by creation time (ms)."""
    return f"{_TAG}state:{of.value}"


def same(fingerprint: str) -> str:
    """zset: holds of one requester, connection and digest that a client waits or has to return for. TTL as `idempotency`."""
    return f"{_TAG}same:{fingerprint}"


def idempotency(fingerprint: str) -> str:
    """string: the hold that an Idempotency-Key of one requester stands for. TTL: its longest possible life + retention."""
    return f"{_TAG}idem:{fingerprint}"


def response(hold_id: str) -> str:
    """hash: status, headers (JSON), body of a completed hold, for replay. TTL: retention."""
    return f"{_TAG}response:{hold_id}"


def wake(gateway: str) -> str:
    """stream: ids of holds whose state changed, for the gateway process that waits on them. TTL: renewed by its beat."""
    return f"{_TAG}wake:{gateway}"


def requests_of(person: str) -> str:
    """zset: the newest holds of one person's requests and their agents', by creation time (ms). TTL as `idempotency`."""
    return f"{_TAG}of:{person}"


def at(gateway: str) -> str:
    """set: holds that a gateway process waits on or forwards. Empties with its work, or when its loss is swept."""
    return f"{_TAG}at:{gateway}"


def read(hold_id: str) -> str:
    """set: "digest principal" of who has read a whole text of the hold. TTL: the hold's, from the last reader on."""
    return f"{_TAG}read:{hold_id}"


def cards(hold_id: str) -> str:
    """hash: target ("slack:C0123") to JSON (CardPlace). TTL: renewed with every change, then retention."""
    return f"{_TAG}cards:{hold_id}"


def grant_uses(grant_id: str) -> str:
    """hash: request id to the number of the use that let it pass. TTL: retention after the grant's own end."""
    return f"{_TAG}grant:{grant_id}:uses"


def confirmation(token: str) -> str:
    """string: JSON of one question to one person (confirmations.py). TTL: five minutes from the question."""
    return f"{_TAG}confirm:{token}"


def step_up(token: str) -> str:
    """string: JSON of one approval that waits to be confirmed (stepups.py). TTL: ten minutes from the click."""
    return f"{_TAG}stepup:{token}"


def step_up_of(hold_id: str, principal: str) -> str:
    """string: the token of what one person has last approved of a hold, and has to confirm. TTL as `step_up`."""
    return f"{_TAG}stepup:of:{hold_id}:{principal}"


def passkeys(principal: str) -> str:
    """hash: credential id to JSON (Passkey) of one person. No TTL: entries leave when the person removes them."""
    return f"{_TAG}passkeys:{principal}"


def passkey_invitation(digest: str) -> str:
    """string: JSON (Invitation), by the SHA-256 of its secret. TTL: one day."""
    return f"{_TAG}passkey:invitation:{digest}"


def challenge(digest: str) -> str:
    """string: JSON of what a passkey is asked to sign, and by whom, by its SHA-256. TTL: five minutes."""
    return f"{_TAG}challenge:{digest}"


def lease(name: str) -> str:
    """string: who does this work now. TTL: the lease's own."""
    return f"{_TAG}lease:{name}"


def session(digest: str) -> str:
    """string: JSON of one signed-in browser, by the SHA-256 of its cookie. TTL: the session's own, from sign-in."""
    return f"{_TAG}session:{digest}"


def sessions_of(person: str) -> str:
    """zset: the open sessions of one person, digests by their end (ms). TTL: up to the last end."""
    return f"{_TAG}sessions:{person}"


def session_check(session_id: str) -> str:
    """string: somebody asks the provider about a session's person. TTL: 20 seconds; gone with a good answer."""
    return f"{_TAG}session:check:{session_id}"


def signing_in(digest: str) -> str:
    """string: JSON of a sign-in that was begun (signing_in.py), by the SHA-256 of its state. TTL: ten minutes."""
    return f"{_TAG}signing-in:{digest}"


def arrived(digest: str) -> str:
    """string: JSON of who was signed in elsewhere (signing_in.py), by the SHA-256 of the ticket. TTL: one minute."""
    return f"{_TAG}arrived:{digest}"


def signing_in_from(address: str) -> str:
    """int: sign-ins that were begun from one address. TTL: one minute from the first."""
    return f"{_TAG}signing-in:from:{address}"


def sign_in_failures(address: str) -> str:
    """int: failed sign-ins from one address. TTL: one minute from the last."""
    return f"{_TAG}failures:{address}"


def bundle(bundle_id: str) -> str:
    """hash: one card that stands for several holds (kind, target, their ids). TTL: that of `cards`."""
    return f"{_TAG}bundle:{bundle_id}"


def equals(fingerprint: str) -> str:
    """hash: target to the hold of one requester, connection and digest that got its card there last. TTL as `cards`."""
    return f"{_TAG}equals:{fingerprint}"


def offer(bundle_id: str, mark: str) -> str:
    """string: JSON of the holds and digests that one drawing of a bundle offers. TTL: a day beyond their deadlines."""
    return f"{_TAG}bundle:{bundle_id}:{mark}"


def said(owner: str) -> str:
    """set: what was said in the threads of a hold's or bundle's cards, or is being said. TTL: that of `cards`."""
    return f"{_TAG}said:{owner}"


def installing(digest: str) -> str:
    """string: an installation that was begun (ms), by the SHA-256 of its secret. TTL: as long as it may take."""
    return f"{_TAG}installing:{digest}"


def seen(kind: str, delivery: str) -> str:
    """string: a delivery of a platform that was handled. TTL: one hour."""
    return f"{_TAG}seen:{kind}:{delivery}"


def linking(digest: str) -> str:
    """string: JSON of the chat account that a one-time link is for, by the link's SHA-256. TTL: ten minutes."""
    return f"{_TAG}linking:{digest}"


def link_code(account: str) -> str:
    """hash: what a code would bind a chat account to, the code's digest, wrong tries. TTL: five minutes."""
    return f"{_TAG}linking:code:{account}"


def window(digest: str) -> str:
    """hash: what was spent of one budget, by slot (lua/_window.lua). TTL: a window and a slot from the last use."""
    return f"{_TAG}window:{digest}"


def open_holds(digest: str) -> str:
    """zset: holds of one budget that were open when last looked at, by creation time (ms). TTL: 30 days beyond theirs."""
    return f"{_TAG}open:{digest}"
