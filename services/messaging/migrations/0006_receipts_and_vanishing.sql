-- Expands only: the code before this migration runs on this schema unchanged.
ALTER TABLE conversations
    -- New messages vanish this long after they were sent; 0 for never.
    ADD COLUMN vanish_after_s bigint NOT NULL DEFAULT 0,
    -- Messages up to this one are deleted by the retention policy.
    ADD COLUMN history_start_seq bigint NOT NULL DEFAULT 0;

ALTER TABLE members
    -- `read_seq` stays what others may know (the code before shows it to them); one's own cursor is the greater of the two.
    ADD COLUMN own_read_seq bigint NOT NULL DEFAULT 0,
    ADD COLUMN own_read_moved_at timestamptz,
    -- What others may know; where it is below `read_seq`, that one holds. `read_moved_at` counts its moves too.
    ADD COLUMN delivered_seq bigint NOT NULL DEFAULT 0;

ALTER TABLE messages
    ADD COLUMN expires_at timestamptz,
    DROP CONSTRAINT messages_kind_check,
    -- The code before takes the new kind for 'unsent', which looks the same to it.
    ADD CONSTRAINT messages_kind_check CHECK (kind IN ('text', 'call', 'line', 'unsent', 'expired'));
-- What the sweeper looks for.
CREATE INDEX messages_by_expiry ON messages (expires_at) WHERE expires_at IS NOT NULL AND kind IN ('text', 'call');
