-- The last state of each person, written by the replica that owns them. Nothing here is needed to route an event.
CREATE TABLE user_states (
    user_id text PRIMARY KEY,
    -- Of delivery.v1, when the row was written.
    partition integer NOT NULL,
    -- 0 offline, 1 online, 2 away (core/states.py: Standing)
    standing smallint NOT NULL,
    -- When the last device left; NULL unless offline, or when it is not known.
    last_seen_time timestamptz,
    -- The call that the person is in.
    call_id text,
    call_version bigint,
    -- Of two owners around a rebalance the later one's word holds.
    changed_time timestamptz NOT NULL
);

-- A new owner reads those who were not offline, of its partitions.
CREATE INDEX user_states_present ON user_states (partition) WHERE standing <> 0;
