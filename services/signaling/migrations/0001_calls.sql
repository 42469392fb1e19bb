-- A call as it stands. `version` is the optimistic lock; `due_time` is when a sweep must look at the call again.
CREATE TABLE calls (
    call_id uuid PRIMARY KEY,
    conversation_id text NOT NULL,
    caller_id text NOT NULL,
    video boolean NOT NULL,
    state text NOT NULL CHECK (state IN ('ringing', 'active', 'ended')),
    end_reason text CHECK (end_reason IN ('hung_up', 'missed', 'declined', 'cancelled', 'busy', 'media_lost')),
    worker_id text,
    worker_address text,
    create_time timestamptz NOT NULL,
    ring_deadline timestamptz NOT NULL,
    answer_time timestamptz,
    media_time timestamptz,
    end_time timestamptz,
    due_time timestamptz,
    version bigint NOT NULL,
    CHECK ((state = 'ended') = (end_reason IS NOT NULL)),
    CHECK ((state = 'ended') = (end_time IS NOT NULL)),
    CHECK ((worker_id IS NULL) = (worker_address IS NULL))
);
CREATE INDEX calls_due ON calls (due_time) WHERE due_time IS NOT NULL;
CREATE INDEX calls_running ON calls (worker_id) WHERE state <> 'ended';

CREATE TABLE participants (
    call_id uuid NOT NULL REFERENCES calls,
    user_id text NOT NULL,
    -- The caller is 0.
    position smallint NOT NULL,
    device_id text,
    media_up boolean NOT NULL,
    media_deadline timestamptz,
    PRIMARY KEY (call_id, user_id)
);

-- One call a user at a time, whatever the race: who has no room here is busy.
CREATE TABLE active_legs (
    user_id text PRIMARY KEY,
    call_id uuid NOT NULL REFERENCES calls
);
CREATE INDEX active_legs_of_call ON active_legs (call_id);

-- What StartCall gave for a client's id, so that a retry gives it again. Two users may share a call (glare).
CREATE TABLE call_keys (
    user_id text NOT NULL,
    client_call_id text NOT NULL,
    call_id uuid NOT NULL REFERENCES calls,
    PRIMARY KEY (user_id, client_call_id)
);

CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    shard smallint NOT NULL,
    topic text NOT NULL,
    key text NOT NULL,
    value bytea NOT NULL,
    trace text
);
CREATE INDEX outbox_by_shard ON outbox (shard, id);
