"""Services with one bug each: the checker must find every one of them, or its silence says nothing.

`prove.py` tries them one after the other. A bug changes what is called in the service's own process (`hosted.py`). A
new one is a function and a line in `BUGS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.faults.checker.bugs import messaging, others


@dataclass(frozen=True)
class Bug:
    """`seed` puts it into the process that runs `service`; it breaks one of `promises`.

    `faults`: it shows only when these are done to `targets`, or else to `service`.
    """

    service: str
    promises: tuple[str, ...]
    seed: Callable[[], None]
    faults: tuple[str, ...] = ()
    targets: str = ""


BUGS: Mapping[str, Bug] = {
    "acknowledge before commit": Bug("messaging", ("acknowledged is stored",), messaging.acknowledge_before_commit),
    "skip a number": Bug("messaging", ("no gaps",), messaging.skip_a_number),
    "relay forgets": Bug("messaging", ("no gaps",), messaging.relay_forgets),
    "fan-out commits early": Bug("messaging", ("no gaps",), messaging.fan_out_commits_early),
    "stale state cache": Bug(
        "messaging", ("nothing after a block", "nothing after a removal"), messaging.stale_state_cache
    ),
    "block seen late": Bug("messaging", ("nothing after a block",), messaging.block_seen_late),
    "removal seen late": Bug("messaging", ("nothing after a removal",), messaging.removal_seen_late),
    "deleted account speaks": Bug("messaging", ("deleted accounts are gone",), messaging.deleted_account_speaks),
    "cursor goes back": Bug(
        "messaging", ("read cursors only move forward", "read cursors hold"), messaging.cursor_goes_back
    ),
    "unread counts own": Bug("messaging", ("unread is counted",), messaging.unread_counts_own),
    "edit lost": Bug("messaging", ("changes hold",), messaging.edit_lost),
    "vanishing forgotten": Bug("messaging", ("vanished is gone",), messaging.vanishing_forgotten),
    "reaction lost": Bug("messaging", ("reactions hold",), messaging.reaction_lost),
    "vote lost": Bug("messaging", ("votes hold",), messaging.vote_lost),
    "own cursor not told": Bug("messaging", ("read cursors are told",), messaging.own_cursor_not_told),
    "refused and stored": Bug("messaging", ("refused is not stored",), messaging.refused_and_stored),
    "handler raises": Bug("messaging", ("refusals are documented",), messaging.handler_raises),
    "two accepts": Bug("signaling", ("one device takes a call",), others.two_accepts),
    "call record lost": Bug("messaging", ("a call is recorded once",), messaging.call_record_lost),
    "direct delivery lost": Bug("presence", ("no gaps",), others.direct_delivery_lost),
    "resync lost": Bug(
        "gateway", ("no gaps", "read cursors are told"), others.resync_lost, faults=("kill",), targets="presence"
    ),
    "start ends calls": Bug("signaling", ("media goes on",), others.start_ends_calls, faults=("restart",)),
    "webhook lost": Bug("webhooks", ("webhooks tell all",), others.webhook_lost),
    "webhook out of order": Bug("webhooks", ("webhooks keep the order",), others.webhook_out_of_order),
    "webhook of nothing": Bug("webhooks", ("webhooks tell no more",), others.webhook_of_nothing),
    "webhook signed with another key": Bug(
        "webhooks", ("webhooks tell no more",), others.webhook_signed_with_another_key
    ),
    "notice lost": Bug("push", ("notices tell all",), others.notice_lost),
    "notice stays": Bug("push", ("notices go when read",), others.notice_stays),
    "notice of the blocked": Bug("push", ("no notice of the blocked",), others.notice_of_the_blocked),
}
