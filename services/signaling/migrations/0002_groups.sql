-- Group calls, moves between workers, settings, and what is kept of ended calls. Expands only.
ALTER TABLE calls
    ADD COLUMN is_group boolean NOT NULL DEFAULT false,
    ADD COLUMN capacity smallint NOT NULL DEFAULT 2,
    ADD COLUMN locked boolean NOT NULL DEFAULT false,
    ADD COLUMN worker_start_time timestamptz,
    ADD COLUMN media_epoch bigint NOT NULL DEFAULT 0,
    ADD COLUMN move_reason text CHECK (move_reason IN ('drain', 'worker_lost', 'operator')),
    ADD COLUMN move_time timestamptz,
    ADD COLUMN former_worker_id text,
    ADD COLUMN former_worker_address text,
    ADD COLUMN former_worker_start_time timestamptz,
    ADD COLUMN former_close_time timestamptz,
    ADD COLUMN trace text NOT NULL DEFAULT '';
-- One call at a time in a group: who starts another one joins it.
CREATE UNIQUE INDEX calls_of_group ON calls (conversation_id) WHERE is_group AND state <> 'ended';
CREATE INDEX calls_placed ON calls (caller_id, create_time);
CREATE INDEX calls_ended ON calls (end_time) WHERE state = 'ended';

ALTER TABLE participants
    -- NULL where the row was written before there were groups: seen from its device.
    ADD COLUMN state text CHECK (state IN ('ringing', 'waiting', 'silent', 'joined', 'out', 'removed', 'gone')),
    ADD COLUMN former_device_id text,
    ADD COLUMN join_time timestamptz,
    ADD COLUMN leave_time timestamptz,
    ADD COLUMN hand_raise_time timestamptz,
    ADD COLUMN mute_request_time timestamptz,
    -- Whether ListActiveCalls shows the call to the user.
    ADD COLUMN listed boolean NOT NULL DEFAULT false;
UPDATE participants SET state = CASE
        WHEN device_id IS NOT NULL THEN 'joined' WHEN calls.state = 'ringing' THEN 'ringing' ELSE 'out' END,
    join_time = CASE WHEN device_id IS NOT NULL THEN coalesce(answer_time, create_time) END,
    leave_time = CASE WHEN device_id IS NOT NULL THEN end_time END,
    listed = calls.state <> 'ended'
FROM calls WHERE calls.call_id = participants.call_id;
CREATE INDEX participants_listed ON participants (user_id) WHERE listed;
CREATE INDEX participants_of_user ON participants (user_id, call_id);

CREATE TABLE call_settings (
    user_id text PRIMARY KEY,
    call_waiting boolean NOT NULL,
    quiet_start_minute smallint,
    quiet_end_minute smallint,
    quiet_time_zone text,
    quiet_weekdays smallint[] NOT NULL DEFAULT '{}'
);

-- Sums over a device's media on one worker, one direction a row. `last_report_time` makes repeated reports harmless.
CREATE TABLE media_quality (
    call_id uuid NOT NULL REFERENCES calls,
    user_id text NOT NULL,
    device_id text NOT NULL,
    worker_id text NOT NULL,
    direction text NOT NULL CHECK (direction IN ('uplink', 'downlink')),
    last_report_time timestamptz NOT NULL,
    duration_s double precision NOT NULL,
    packets bigint NOT NULL,
    bytes bigint NOT NULL,
    lost double precision NOT NULL,
    jitter_ms_s double precision NOT NULL,
    max_jitter_ms double precision NOT NULL,
    rtt_ms_s double precision NOT NULL,
    rtt_s double precision NOT NULL,
    max_rtt_ms double precision NOT NULL,
    PRIMARY KEY (call_id, user_id, device_id, worker_id, direction)
);
