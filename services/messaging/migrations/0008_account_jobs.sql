-- Expands only: the code before this migration runs on this schema unchanged.

-- Exports and deletions of accounts. The row of a deletion stays: it is what refuses the account from then on.
CREATE TABLE account_jobs (
    id uuid PRIMARY KEY,
    user_id text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('export', 'deletion')),
    created_at timestamptz NOT NULL,
    finished_at timestamptz,
    -- Of a finished export: it is collected then.
    expires_at timestamptz,
    -- What is done already; see accounts/core.py.
    cursor text NOT NULL DEFAULT '',
    -- Nobody takes it before; whoever works on it moves it ahead.
    due_at timestamptz NOT NULL,
    -- Who took it last. What another one still writes for it is refused.
    lease uuid
);
CREATE UNIQUE INDEX account_jobs_deletion ON account_jobs (user_id) WHERE kind = 'deletion';
CREATE UNIQUE INDEX account_jobs_running_export ON account_jobs (user_id) WHERE kind = 'export' AND finished_at IS NULL;
CREATE INDEX account_jobs_by_user ON account_jobs (user_id);
CREATE INDEX account_jobs_due ON account_jobs (due_at) WHERE finished_at IS NULL;
CREATE INDEX account_jobs_by_expiry ON account_jobs (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE export_parts (
    job_id uuid NOT NULL,
    part int NOT NULL,
    object_key text NOT NULL,
    PRIMARY KEY (job_id, part)
);

-- By user: conversations that they have been in. Their messages stand there still, and `messages` has no index by
-- sender alone: every send would pay for it.
CREATE TABLE former_members (
    user_id text NOT NULL,
    conversation_id uuid NOT NULL,
    PRIMARY KEY (user_id, conversation_id)
);
INSERT INTO former_members (user_id, conversation_id)
SELECT DISTINCT m.sender_id, m.conversation_id FROM messages m
WHERE NOT EXISTS (SELECT FROM members n WHERE n.conversation_id = m.conversation_id AND n.user_id = m.sender_id);

-- A trigger, since replicas of the release before take members out too while both serve.
CREATE FUNCTION remember_former_member() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO former_members (user_id, conversation_id) VALUES (OLD.user_id, OLD.conversation_id)
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER members_remember_former AFTER DELETE ON members
FOR EACH ROW EXECUTE FUNCTION remember_former_member();
