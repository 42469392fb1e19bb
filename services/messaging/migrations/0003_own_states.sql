-- By user: how each person keeps a conversation. No row means that nothing was set.
CREATE TABLE own_states (
    user_id text NOT NULL,
    conversation_id uuid NOT NULL,
    pinned boolean NOT NULL DEFAULT false,
    archived boolean NOT NULL DEFAULT false,
    marked_unread boolean NOT NULL DEFAULT false,
    muted_until timestamptz,
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, conversation_id)
);
