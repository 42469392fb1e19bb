-- Expands only: the code before this migration runs on this schema unchanged.
ALTER TABLE conversations
    ADD COLUMN title text NOT NULL DEFAULT '',
    ADD COLUMN avatar_ref text NOT NULL DEFAULT '',
    ADD COLUMN history_open boolean NOT NULL DEFAULT false,
    -- Counts changes other than new messages and read cursors.
    ADD COLUMN revision bigint NOT NULL DEFAULT 0,
    -- Owner and client_conversation_id of a group: creating it again gives the same one.
    ADD COLUMN creation_key text UNIQUE;

ALTER TABLE members
    ADD COLUMN role text NOT NULL DEFAULT 'member' CHECK (role IN ('member', 'admin', 'owner')),
    ADD COLUMN visible_after_seq bigint NOT NULL DEFAULT 0;

ALTER TABLE messages
    -- The conversation's revision of the last change.
    ADD COLUMN revision bigint NOT NULL DEFAULT 0,
    ADD COLUMN edited_at timestamptz,
    ADD COLUMN edit_count int NOT NULL DEFAULT 0,
    ADD COLUMN reply_to_seq bigint NOT NULL DEFAULT 0,
    -- A serialized parley.messaging.v1.TextContent with the entities alone.
    ADD COLUMN entities bytea,
    -- A serialized parley.messaging.v1.SystemContent.
    ADD COLUMN line bytea,
    DROP CONSTRAINT messages_kind_check,
    ADD CONSTRAINT messages_kind_check CHECK (kind IN ('text', 'call', 'line', 'unsent'));
CREATE INDEX messages_by_revision ON messages (conversation_id, revision) WHERE revision > 0;

CREATE TABLE message_edits (
    conversation_id uuid NOT NULL,
    seq bigint NOT NULL,
    edit_no int NOT NULL,
    body text NOT NULL,
    entities bytea,
    written_at timestamptz NOT NULL,
    PRIMARY KEY (conversation_id, seq, edit_no)
);

CREATE TABLE reactions (
    conversation_id uuid NOT NULL,
    seq bigint NOT NULL,
    emoji text NOT NULL,
    user_id text NOT NULL,
    position bigint GENERATED ALWAYS AS IDENTITY,
    PRIMARY KEY (conversation_id, seq, emoji, user_id)
);

CREATE TABLE invites (
    token_sha256 bytea PRIMARY KEY,
    conversation_id uuid NOT NULL,
    created_by text NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX invites_by_conversation ON invites (conversation_id);
