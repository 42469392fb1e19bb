-- By conversation: every key begins with the conversation, so that a cluster can be sharded by it.
CREATE TABLE conversations (
    id uuid PRIMARY KEY,
    kind text NOT NULL,
    -- Both user ids, sorted; only direct conversations have one.
    pair_key text UNIQUE,
    -- The counter row of `seq`: a sequence would leave gaps and commit out of order.
    last_seq bigint NOT NULL DEFAULT 0,
    active_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL
);

CREATE TABLE members (
    conversation_id uuid NOT NULL,
    user_id text NOT NULL,
    joined_at timestamptz NOT NULL,
    read_seq bigint NOT NULL DEFAULT 0,
    read_moved_at timestamptz,
    PRIMARY KEY (conversation_id, user_id)
);
CREATE INDEX members_by_user ON members (user_id, conversation_id);

CREATE TABLE messages (
    conversation_id uuid NOT NULL,
    seq bigint NOT NULL,
    id uuid NOT NULL,
    sender_id text NOT NULL,
    client_message_id text NOT NULL,
    sent_at timestamptz NOT NULL,
    kind text NOT NULL CHECK (kind IN ('text', 'call')),
    body text NOT NULL DEFAULT '',
    -- A serialized parley.messaging.v1.CallContent.
    call bytea,
    PRIMARY KEY (conversation_id, seq),
    UNIQUE (conversation_id, sender_id, client_message_id)
) PARTITION BY HASH (conversation_id);
CREATE TABLE messages_0 PARTITION OF messages FOR VALUES WITH (MODULUS 8, REMAINDER 0);
CREATE TABLE messages_1 PARTITION OF messages FOR VALUES WITH (MODULUS 8, REMAINDER 1);
CREATE TABLE messages_2 PARTITION OF messages FOR VALUES WITH (MODULUS 8, REMAINDER 2);
CREATE TABLE messages_3 PARTITION OF messages FOR VALUES WITH (MODULUS 8, REMAINDER 3);
CREATE TABLE messages_4 PARTITION OF messages FOR VALUES WITH (MODULUS 8, REMAINDER 4);
CREATE TABLE messages_5 PARTITION OF messages FOR VALUES WITH (MODULUS 8, REMAINDER 5);
CREATE TABLE messages_6 PARTITION OF messages FOR VALUES WITH (MODULUS 8, REMAINDER 6);
CREATE TABLE messages_7 PARTITION OF messages FOR VALUES WITH (MODULUS 8, REMAINDER 7);

-- Published rows are deleted; see services/runtime/postgres/outbox.py.
CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    shard smallint NOT NULL,
    topic text NOT NULL,
    key text NOT NULL,
    value bytea NOT NULL,
    trace text
);
CREATE INDEX outbox_by_shard ON outbox (shard, id);
