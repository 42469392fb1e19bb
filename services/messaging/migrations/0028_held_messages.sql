-- Expands only: the code before this migration runs on this schema unchanged, and holds nothing.

-- What the network's hook held back for a review: new messages (seq 0), and new texts for messages that are there. The
-- columns of the content are those of `messages`; what was decided on holds nothing in them, and goes after a time.
CREATE TABLE held_messages (
    id uuid PRIMARY KEY,
    conversation_id uuid NOT NULL,
    sender_id text NOT NULL,
    client_message_id text NOT NULL,
    seq bigint NOT NULL DEFAULT 0,
    reply_to_seq bigint NOT NULL DEFAULT 0,
    kind text NOT NULL,
    body text NOT NULL,
    entities bytea,
    call bytea,
    line bytea,
    content bytea,
    attachments bytea,
    forwarded boolean NOT NULL DEFAULT false,
    held_at timestamptz NOT NULL,
    -- The hook's own word for why.
    word text NOT NULL,
    state text NOT NULL DEFAULT 'waiting',
    decided_at timestamptz,
    UNIQUE (conversation_id, sender_id, client_message_id)
);
CREATE INDEX held_messages_waiting ON held_messages (id) WHERE decided_at IS NULL;
CREATE INDEX held_messages_decided ON held_messages (decided_at) WHERE decided_at IS NOT NULL;
CREATE INDEX held_messages_by_sender ON held_messages (sender_id);
