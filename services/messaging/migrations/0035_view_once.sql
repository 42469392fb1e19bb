-- Expands only: the code before this migration runs on this schema unchanged. To it every message is an ordinary one, so
-- devices send such messages only once every replica has this release.

-- Each recipient opens its file once.
ALTER TABLE messages ADD COLUMN view_once boolean NOT NULL DEFAULT false;
ALTER TABLE held_messages ADD COLUMN view_once boolean NOT NULL DEFAULT false;

-- Of the file of such a message: when it goes, whoever has not opened it.
ALTER TABLE attachments ADD COLUMN release_at timestamptz;
CREATE INDEX attachments_to_release ON attachments (release_at) WHERE release_at IS NOT NULL;

-- Who opened which of them.
CREATE TABLE openings (
    conversation_id uuid NOT NULL,
    seq bigint NOT NULL,
    user_id text NOT NULL,
    client_request_id text NOT NULL,
    opened_at timestamptz NOT NULL,
    position bigint GENERATED ALWAYS AS IDENTITY,
    PRIMARY KEY (conversation_id, seq, user_id)
);
