-- Expands only: the code before this migration runs on this schema unchanged.

ALTER TABLE messages
    -- The protobuf of a kind of content that has no columns of its own.
    ADD COLUMN content bytea,
    -- Which kinds there are is one table in the code (core/content.py), so that a new one needs no migration.
    DROP CONSTRAINT messages_kind_check;

-- What the sweeper looks for. It names what nobody says, so that it holds every kind that people say, also later ones;
-- the sweeper of the release before finds its texts and calls by it as well. While it is made, sends wait.
DROP INDEX messages_by_expiry;
CREATE INDEX messages_by_expiry ON messages (expires_at)
    WHERE expires_at IS NOT NULL AND kind NOT IN ('line', 'unsent', 'expired');
