-- Expands only: the code before this migration runs on this schema unchanged.

-- By user: what each person has written in a conversation and not sent. No row means that there is nothing.
CREATE TABLE drafts (
    user_id text NOT NULL,
    conversation_id uuid NOT NULL,
    body text NOT NULL,
    reply_to_seq bigint NOT NULL DEFAULT 0,
    revision bigint NOT NULL,
    changed_at timestamptz NOT NULL,
    -- Where messages vanish.
    expires_at timestamptz,
    PRIMARY KEY (user_id, conversation_id)
);
CREATE INDEX drafts_by_expiry ON drafts (expires_at) WHERE expires_at IS NOT NULL;

-- Whoever goes, also by the release before, leaves none behind.
CREATE FUNCTION end_drafts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM drafts WHERE user_id = OLD.user_id AND conversation_id = OLD.conversation_id;
    RETURN NULL;
END
$$;
CREATE TRIGGER members_end_drafts AFTER DELETE ON members FOR EACH ROW EXECUTE FUNCTION end_drafts();
