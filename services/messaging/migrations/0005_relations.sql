-- Who may reach whom. Expands only.

-- On the way of a send, so that its checks stay one statement: see rows.load_places.
ALTER TABLE members
    -- Whether this member let the conversation in: '' yes, 'pending' it waits in Requests, 'declined' it was put away.
    ADD COLUMN request text NOT NULL DEFAULT '' CHECK (request IN ('', 'pending', 'declined')),
    -- Who brought this member in; '' for who came by oneself.
    ADD COLUMN added_by text NOT NULL DEFAULT '';
ALTER TABLE conversations
    -- Of a direct conversation: one of the two blocked the other, so that nobody writes. Changed under the row's lock.
    ADD COLUMN blocked boolean NOT NULL DEFAULT false;

-- No row means the defaults.
CREATE TABLE user_settings (
    user_id text PRIMARY KEY,
    message_audience text NOT NULL DEFAULT 'everyone',
    presence_audience text NOT NULL DEFAULT 'everyone',
    call_audience text NOT NULL DEFAULT 'everyone',
    send_receipts boolean NOT NULL DEFAULT true
);

-- One row a source: those made in Parley and those of the network stand side by side, and each is taken back where it
-- was made. Rows stay when a block is taken back, so that an older event that comes late finds a newer fact.
CREATE TABLE blocks (
    user_id text NOT NULL,
    blocked_user_id text NOT NULL,
    source text NOT NULL CHECK (source IN ('parley', 'network')),
    stands boolean NOT NULL,
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, blocked_user_id, source)
);

-- Copies of the network's graph; rows stay as above.
CREATE TABLE follows (
    user_id text NOT NULL,
    followed_user_id text NOT NULL,
    stands boolean NOT NULL,
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, followed_user_id)
);
CREATE TABLE verified_users (
    user_id text PRIMARY KEY,
    stands boolean NOT NULL,
    changed_at timestamptz NOT NULL
);

-- How many conversations a user opened on a day (UTC).
CREATE TABLE new_conversations (
    user_id text NOT NULL,
    day date NOT NULL,
    opened int NOT NULL,
    PRIMARY KEY (user_id, day)
);

-- Copies for the moderators: they stay whatever becomes of the conversation.
CREATE TABLE reports (
    id uuid PRIMARY KEY,
    reporter_id text NOT NULL,
    client_report_id text NOT NULL,
    conversation_id uuid NOT NULL,
    reason text NOT NULL,
    comment text NOT NULL,
    created_at timestamptz NOT NULL,
    state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'upheld', 'dismissed')),
    resolved_by text NOT NULL DEFAULT '',
    resolved_at timestamptz,
    UNIQUE (reporter_id, client_report_id)
);
CREATE INDEX reports_by_state ON reports (state, id);
CREATE INDEX reports_by_reporter ON reports (reporter_id, created_at);
CREATE TABLE report_messages (
    report_id uuid NOT NULL,
    seq bigint NOT NULL,
    sender_id text NOT NULL,
    sent_at timestamptz NOT NULL,
    body text NOT NULL,
    attachment_ids text[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (report_id, seq)
);
