-- Expands only: the code before this migration runs on this schema unchanged (and neither writes nor obeys bans).

ALTER TABLE conversations
    -- Who may add people to a group.
    ADD COLUMN add_audience text NOT NULL DEFAULT 'members' CHECK (add_audience IN ('members', 'admins'));

-- Who was removed from a group and may not come in again. Who was removed before this migration is not here.
CREATE TABLE group_bans (
    conversation_id uuid NOT NULL,
    user_id text NOT NULL,
    -- Empty when that account was deleted.
    banned_by text NOT NULL,
    banned_at timestamptz NOT NULL,
    PRIMARY KEY (conversation_id, user_id)
);
CREATE INDEX group_bans_by_time ON group_bans (conversation_id, banned_at, user_id);
-- For the deletion of an account.
CREATE INDEX group_bans_by_user ON group_bans (user_id);

-- Requests to add people or to join that were done: a late retry does them no second time.
CREATE TABLE group_request_keys (
    conversation_id uuid NOT NULL,
    user_id text NOT NULL,
    request_key text NOT NULL,
    done_at timestamptz NOT NULL,
    PRIMARY KEY (conversation_id, user_id, request_key)
);
CREATE INDEX group_request_keys_by_time ON group_request_keys (conversation_id, done_at);
CREATE INDEX group_request_keys_by_user ON group_request_keys (user_id);
