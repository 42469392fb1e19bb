-- Expands only: the code before this migration runs on this schema unchanged, and sends none of these.

-- By sender: messages that wait for their time, and those that were refused at it. The columns of the content are those
-- of `messages`; what was cancelled holds nothing in them.
CREATE TABLE scheduled_messages (
    sender_id text NOT NULL,
    conversation_id uuid NOT NULL,
    -- Of the message that is sent: it was chosen when this was written, so that it is sent once.
    client_message_id text NOT NULL,
    id uuid NOT NULL UNIQUE,
    created_at timestamptz NOT NULL,
    send_at timestamptz NOT NULL,
    -- When somebody has to look at it: to send it, or to forget what was refused or cancelled.
    due_at timestamptz NOT NULL,
    state text NOT NULL DEFAULT 'waiting',
    -- Of the replica that looks at it.
    lease uuid,
    -- How often it could not be sent just then.
    attempts int NOT NULL DEFAULT 0,
    refusal text NOT NULL DEFAULT '',
    revision bigint NOT NULL,
    reply_to_seq bigint NOT NULL DEFAULT 0,
    kind text NOT NULL,
    body text NOT NULL,
    entities bytea,
    call bytea,
    line bytea,
    content bytea,
    attachments bytea,
    attachment_ids uuid[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (sender_id, conversation_id, client_message_id)
);
CREATE INDEX scheduled_messages_by_due ON scheduled_messages (due_at);
