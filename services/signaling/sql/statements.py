"""The SQL of the store. Columns that are named in rows.py are filled in here, so that each is named once."""

from collections.abc import Sequence

from services.signaling.sql import rows


def _numbers(first: int, names: Sequence[object]) -> str:
    return ", ".join(f"${first + index}" for index in range(len(names)))


def _named(prefix: str, names: Sequence[str]) -> str:
    return ", ".join(f"{prefix}{name}" for name in names)


_LEG = [name for name, _ in rows.LEG]
_CALL = (*rows.CHANGING, *rows.FIXED)

_INSERT_CALL = """
INSERT INTO calls (call_id, {names}) VALUES ($1, {values})
ON CONFLICT (conversation_id) WHERE is_group AND state <> 'ended' DO NOTHING RETURNING call_id
"""
INSERT_CALL = _INSERT_CALL.format(names=_named("", _CALL), values=_numbers(2, _CALL))
_UPSERT_LEGS = """
INSERT INTO participants AS known (call_id, {names}) SELECT {from_call}
ON CONFLICT (call_id, user_id) DO UPDATE SET ({names}) = ROW({new})
WHERE ({old}) IS DISTINCT FROM ({new})
"""


def _upsert_legs(from_call: str, first: int) -> str:
    """`from_call`: where the call's id comes from; `first`: the number of the first column of legs."""
    columns = ", ".join(f"${number}::{kind}[]" for number, (_, kind) in enumerate(rows.LEG, first))
    return _UPSERT_LEGS.format(
        names=_named("", _LEG),
        from_call=from_call.format(legs=f"unnest({columns}) AS legs"),
        old=_named("known.", _LEG),
        new=_named("excluded.", _LEG),
    )


INSERT_LEGS = _upsert_legs("$1, legs.* FROM {legs}", 2)
# One statement, and so one round trip and all or nothing by itself. The version is the last of CHANGING.
_SAVE = """
WITH changed AS (
    UPDATE calls SET ({names}) = ROW({values}) WHERE call_id = $1 AND version = {version} - 1 RETURNING call_id
), saved AS ({upsert})
SELECT call_id FROM changed
"""
SAVE = _SAVE.format(
    names=_named("", rows.CHANGING),
    values=_numbers(2, rows.CHANGING),
    version=f"${len(rows.CHANGING) + 1}",
    upsert=_upsert_legs("changed.call_id, legs.* FROM changed, {legs}", len(rows.CHANGING) + 2),
)
INSERT_KEY = """
INSERT INTO call_keys (user_id, client_call_id, call_id) VALUES ($1, $2, $3)
ON CONFLICT (user_id, client_call_id) DO NOTHING RETURNING call_id
"""
# In the order of ids, so that two who call each other wait for one another instead of locking each other out.
MARK_BUSY = """
WITH freed AS (DELETE FROM active_legs WHERE call_id = $2 AND user_id <> ALL ($1::text[])),
    held AS (SELECT user_id FROM active_legs WHERE call_id = $2 AND user_id = ANY ($1::text[])),
    taken AS (
        INSERT INTO active_legs (user_id, call_id) SELECT user_id, $2 FROM unnest($1::text[]) AS user_id
        ORDER BY user_id ON CONFLICT (user_id) DO NOTHING RETURNING user_id
    )
SELECT user_id FROM held UNION SELECT user_id FROM taken
"""
BUSY_WITH = "SELECT call_id FROM active_legs WHERE user_id = $1"
_SELECT_CALLS = """
SELECT calls.*, {legs}, participants.state AS leg_state FROM calls JOIN participants USING (call_id)
WHERE {condition} ORDER BY create_time {order}, call_id {order}, position
"""


def select_calls(condition: str, order: str = "") -> str:
    """Calls with their legs, of those that fit; `order` is that of ids."""
    legs = _named("participants.", [name for name in _LEG if name not in ("state", "position")])
    return _SELECT_CALLS.format(legs=legs, condition=condition, order=order)


BY_ID = select_calls("call_id = $1")
BY_KEY = select_calls("call_id = (SELECT call_id FROM call_keys WHERE user_id = $1 AND client_call_id = $2)")
BY_USER = select_calls("call_id IN (SELECT call_id FROM participants WHERE user_id = $1 AND listed)")
BY_BUSY_USER = select_calls("call_id = (SELECT call_id FROM active_legs WHERE user_id = $1)")
BY_GROUP = select_calls("conversation_id = $1 AND is_group AND calls.state <> 'ended'")
RUNNING_IN = select_calls("conversation_id = $1 AND calls.state <> 'ended'")
ENDED = select_calls(
    """call_id IN (
    SELECT call_id FROM participants AS mine JOIN calls AS past USING (call_id)
    WHERE mine.user_id = $1 AND past.state = 'ended' AND coalesce(mine.state, '') <> 'gone'
        AND NOT (mine.guest_link_id IS NOT NULL AND mine.state = 'removed')
        AND ($2::uuid IS NULL OR call_id < $2)
    ORDER BY call_id DESC LIMIT $3
)""",
    "DESC",
)
PLACED = """
SELECT create_time FROM calls WHERE caller_id = $1 AND create_time > $2 ORDER BY create_time DESC LIMIT $3
"""
# Ids rise with time. CASE, because the second look, through all calls of the user, is for the few whom the first found.
OVER_RING_LIMIT = """
SELECT user_id FROM unnest($1::text[]) AS asked (user_id) WHERE CASE WHEN (
        SELECT create_time FROM participants AS mine JOIN calls USING (call_id)
        WHERE mine.user_id = asked.user_id AND caller_id <> mine.user_id AND mine.guest_link_id IS NULL
        ORDER BY call_id DESC OFFSET $4 - 1 LIMIT 1
    ) > $3
    THEN NOT EXISTS (
        SELECT FROM participants AS mine JOIN calls USING (call_id)
        WHERE mine.user_id = asked.user_id AND conversation_id = $2 AND mine.join_time IS NOT NULL
    )
    ELSE false END
"""
_LEGS_ELSEWHERE = """
FROM calls JOIN participants USING (call_id)
WHERE spread AND calls.state <> 'ended' AND participants.state = 'joined' AND media_worker_id IS NOT NULL
"""
_ON_WORKER = """
SELECT call_id FROM calls WHERE worker_id = $1 AND worker_start_time IS NOT DISTINCT FROM $2 AND state <> 'ended'
UNION
SELECT call_id {elsewhere} AND media_worker_id = $1 AND media_worker_start_time IS NOT DISTINCT FROM $2
ORDER BY call_id LIMIT $3
"""
ON_WORKER = _ON_WORKER.format(elsewhere=_LEGS_ELSEWHERE)
_WORKERS = """
SELECT worker_id, worker_address, worker_start_time FROM calls WHERE state <> 'ended' AND worker_id IS NOT NULL
UNION
SELECT media_worker_id, media_worker_address, media_worker_start_time {elsewhere}
"""
WORKERS = _WORKERS.format(elsewhere=_LEGS_ELSEWHERE)
CLAIM_DUE = """
UPDATE calls SET due_time = $1 + $2::interval WHERE call_id IN (
    SELECT call_id FROM calls WHERE due_time <= $1 ORDER BY due_time LIMIT $3 FOR UPDATE SKIP LOCKED
) RETURNING call_id
"""
COUNT = "SELECT state, count(*) AS number FROM calls WHERE state <> 'ended' GROUP BY state"
OLD = """
SELECT call_id FROM calls WHERE state = 'ended' AND end_time < $1 ORDER BY end_time LIMIT $2 FOR UPDATE SKIP LOCKED
"""
# The sweep of scheduled calls finds one whose call has ended.
END_SCHEDULED = "UPDATE scheduled_calls SET due_time = $2 WHERE call_id = $1 AND state = 'open'"
FORGET_RELAYS = "UPDATE calls SET relay_secret = NULL WHERE call_id = $1"
FORGET_SEALED_KEYS = "DELETE FROM sealed_call_keys WHERE call_id = $1"
# What refers to a call goes before it.
FORGET = (
    "DELETE FROM sealed_call_keys WHERE call_id = ANY ($1)",
    "DELETE FROM media_quality WHERE call_id = ANY ($1)",
    "DELETE FROM call_keys WHERE call_id = ANY ($1)",
    "DELETE FROM participants WHERE call_id = ANY ($1)",
    "DELETE FROM calls WHERE call_id = ANY ($1)",
)
SETTINGS = "SELECT * FROM call_settings WHERE user_id = ANY ($1)"
SAVE_SETTINGS = """
INSERT INTO call_settings
    (user_id, call_waiting, quiet_start_minute, quiet_end_minute, quiet_time_zone, quiet_weekdays)
VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (user_id) DO UPDATE SET
    call_waiting = excluded.call_waiting, quiet_start_minute = excluded.quiet_start_minute,
    quiet_end_minute = excluded.quiet_end_minute, quiet_time_zone = excluded.quiet_time_zone,
    quiet_weekdays = excluded.quiet_weekdays
"""
_ADD_QUALITY = """
INSERT INTO media_quality AS known (call_id, user_id, device_id, worker_id, direction, last_report_time, {names})
SELECT $1::uuid, $2, $3, $4, $5, $6::timestamptz, {values}
WHERE EXISTS (
    SELECT FROM participants JOIN calls USING (call_id)
    WHERE call_id = $1 AND user_id = $2 AND (calls.worker_id = $4 OR media_epoch > 0 OR spread)
)
ON CONFLICT (call_id, user_id, device_id, worker_id, direction) DO UPDATE SET
    last_report_time = excluded.last_report_time, {sums}
WHERE known.last_report_time < excluded.last_report_time
"""


def _sum(name: str) -> str:
    if name.startswith("max_"):
        return f"{name} = greatest(known.{name}, excluded.{name})"
    return f"{name} = known.{name} + excluded.{name}"


def _quality_values() -> str:
    kinds = {"packets": "bigint", "bytes": "bigint"}
    return ", ".join(f"${number}::{kinds.get(name, 'float8')}" for number, name in enumerate(rows.TOTALS, 7))


ADD_QUALITY = _ADD_QUALITY.format(
    names=_named("", rows.TOTALS), values=_quality_values(), sums=", ".join(map(_sum, rows.TOTALS))
)
QUALITY = "SELECT * FROM media_quality WHERE call_id = ANY ($1) ORDER BY call_id"
