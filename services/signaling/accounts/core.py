"""What belongs to a person, table by table, and what of a call goes with an account or a device."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.signaling.core.inputs import Input, Leave, LeaveLobby, PairClosed
from services.signaling.core.model import RUNG, Call, DeviceId, LegState, UserId


@dataclass(frozen=True)
class PersonalColumn:
    """A column that names a person: what a deletion does with it, and which lines of an export hold it."""

    table: str
    column: str
    on_deletion: str
    # Of the lines; empty for what is not exported, and `on_deletion` says why.
    exported: str = ""


# Each column of each table that holds a user's or a device's id. A test compares it with the schema.
PERSONAL_COLUMNS = (
    PersonalColumn("calls", "caller_id", "emptied once the call has ended: the others keep the line", "call"),
    PersonalColumn("participants", "user_id", "the row goes once the call has ended", "call"),
    PersonalColumn("participants", "device_id", "goes with the row", "call"),
    PersonalColumn("participants", "former_device_id", "goes with the row; set for seconds, during a take-over"),
    PersonalColumn(
        *("join_links", "maker_id", "emptied, and the link revoked; the row goes with the call's", "join_link"),
    ),
    PersonalColumn(
        *("scheduled_calls", "maker_id", "emptied with the title; what is planned is cancelled", "scheduled_call"),
    ),
    PersonalColumn("scheduled_answers", "user_id", "the row goes", "scheduled_answer"),
    PersonalColumn("scheduled_waiting", "user_id", "the row goes", "scheduled_waiting"),
    PersonalColumn("account_keys", "user_id", "the row goes", "account_keys"),
    PersonalColumn("device_keys", "user_id", "the row goes", "device_keys"),
    PersonalColumn("device_keys", "device_id", "goes with the row", "device_keys"),
    PersonalColumn("sealed_call_keys", "sender_user_id", "the row goes; of a running call, sealed to somebody else"),
    PersonalColumn("sealed_call_keys", "sender_device_id", "goes with the row"),
    PersonalColumn("sealed_call_keys", "user_id", "the row goes; of a running call, from somebody else"),
    PersonalColumn("sealed_call_keys", "device_id", "goes with the row"),
    PersonalColumn("active_legs", "user_id", "goes when the call lets the person go, at once; made from participants"),
    PersonalColumn("call_keys", "user_id", "the row goes", "call_key"),
    PersonalColumn("call_settings", "user_id", "the row goes", "call_settings"),
    PersonalColumn("media_quality", "user_id", "the row goes once the call has ended", "call"),
    PersonalColumn("media_quality", "device_id", "goes with the row", "call"),
    PersonalColumn("erasures", "user_id", "goes last, when nothing can be left; the account is deleted by then"),
)


def input_for_deletion(call: Call, user_id: UserId) -> Input | None:
    """What ends a deleted person's part in a call; None when there is none. Of two who talk or ring, the other does not
    learn why."""
    leg = call.leg_of(user_id)
    if leg is None:
        return LeaveLobby(user_id) if call.knock_of(user_id) else None
    if not call.group:
        return PairClosed()
    is_in = leg.state is LegState.JOINED or leg.state in RUNG
    return Leave(user_id, leg.device_id or DeviceId("")) if is_in else None


# Whether a device's tokens of that time are refused.
IsRevoked = Callable[[datetime, DeviceId], bool]


def leaves_of_revoked_devices(
    calls: Sequence[Call], user_id: UserId, is_revoked: IsRevoked
) -> list[tuple[Call, Leave]]:
    """The calls that a person is in with a device that was signed out. Who came in with a newer token stays."""
    found = []
    for call in calls:
        leg = call.leg_of(user_id)
        if leg is None or leg.state is not LegState.JOINED or not leg.device_id:
            continue
        # Without a time a replica of the release before wrote it.
        joined = leg.device_join_time or leg.join_time
        if joined and is_revoked(joined, leg.device_id):
            found.append((call, Leave(user_id, leg.device_id)))
    return found
