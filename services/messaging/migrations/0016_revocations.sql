-- Expands only: the code before this migration runs on this schema unchanged.

-- Whose tokens are refused before they have expired: those that were issued before `valid_from`, of one device or, where
-- `device_id` is empty, of all; `kept_device_id` is the one device of which that row says nothing.
CREATE TABLE revocations (
    user_id text NOT NULL,
    device_id text NOT NULL,
    valid_from timestamptz NOT NULL,
    kept_device_id text NOT NULL DEFAULT '',
    PRIMARY KEY (user_id, device_id)
);
-- They are forgotten when every token that they are about has expired.
CREATE INDEX revocations_by_time ON revocations (valid_from);
