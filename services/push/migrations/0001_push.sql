-- People with at least one token, and what they chose. The row is the lock of all that is kept of a person; it stays
-- when the last token goes, for the settings.
CREATE TABLE people (
    user_id text PRIMARY KEY,
    -- all, mentions, none (core/model.py: Level)
    level text NOT NULL DEFAULT 'all',
    previews boolean NOT NULL DEFAULT true,
    -- {"start_minute", "end_minute", "time_zone", "weekdays"}; NULL: at all hours.
    quiet_hours jsonb,
    -- On some device, and not away from it, as presence said last.
    is_attended boolean NOT NULL DEFAULT false
);

CREATE TABLE conversation_levels (
    user_id text NOT NULL,
    conversation_id uuid NOT NULL,
    level text NOT NULL,
    PRIMARY KEY (user_id, conversation_id)
);

CREATE TABLE tokens (
    id uuid PRIMARY KEY,
    user_id text NOT NULL,
    device_id text NOT NULL,
    -- apns, apns_voip, fcm, web_push, network (core/model.py: Provider)
    provider text NOT NULL,
    -- The provider's token; of Web Push the endpoint.
    address text NOT NULL,
    app text NOT NULL DEFAULT '',
    p256dh bytea NOT NULL DEFAULT '',
    auth bytea NOT NULL DEFAULT '',
    register_time timestamptz NOT NULL,
    UNIQUE (user_id, device_id, provider)
);

-- One token is one device's: whoever signs in there next has it.
CREATE UNIQUE INDEX tokens_by_address ON tokens (provider, address);

-- What a person's devices are to show of a conversation or a ringing call (core/model.py: Thread, Notice).
CREATE TABLE threads (
    user_id text NOT NULL,
    key text NOT NULL,
    version bigint NOT NULL,
    seqs bigint[] NOT NULL,
    seen_seq bigint NOT NULL,
    read_seq bigint NOT NULL,
    change_time timestamptz NOT NULL,
    -- The notice; all NULL when devices are to show nothing.
    kind text,
    conversation_id uuid,
    notice_time timestamptz,
    seq bigint,
    message_id text,
    from_user_id text,
    -- What was written; emptied as soon as all devices have it, or nobody is to.
    body text,
    title text,
    is_quiet boolean,
    call_id text,
    video boolean,
    expire_time timestamptz,
    PRIMARY KEY (user_id, key)
);

CREATE INDEX threads_standing ON threads (user_id) WHERE kind IS NOT NULL;
CREATE INDEX threads_from ON threads (from_user_id) WHERE from_user_id <> '';
CREATE INDEX threads_changed ON threads (change_time);

-- Who has reacted to a person's message before: ids, so that nobody rings twice by taking a reaction back.
CREATE TABLE reactors (
    user_id text NOT NULL,
    message_id text NOT NULL,
    user_ids text[] NOT NULL,
    change_time timestamptz NOT NULL,
    PRIMARY KEY (user_id, message_id)
);

CREATE INDEX reactors_changed ON reactors (change_time);
CREATE INDEX reactors_people ON reactors USING gin (user_ids);

-- What each device was sent of a thread, and when it is due to be sent something.
CREATE TABLE deliveries (
    token_id uuid NOT NULL REFERENCES tokens ON DELETE CASCADE,
    user_id text NOT NULL,
    key text NOT NULL,
    provider text NOT NULL,
    -- The version of the thread that the device is to have, and the one that its provider has.
    wanted bigint NOT NULL,
    version bigint NOT NULL DEFAULT 0,
    -- The device may show a notice.
    is_up boolean NOT NULL DEFAULT false,
    -- When somebody may send; while somebody does, when the lease runs out. NULL: nothing to send.
    due timestamptz,
    claim text,
    -- Since when it waits, and how often it was tried since.
    queue_time timestamptz NOT NULL,
    attempts int NOT NULL DEFAULT 0,
    last_status int NOT NULL DEFAULT 0,
    -- When it was given up; NULL when it was not.
    give_up_time timestamptz,
    PRIMARY KEY (token_id, key)
);

CREATE INDEX deliveries_due ON deliveries (provider, due) WHERE due IS NOT NULL;
CREATE INDEX deliveries_waiting ON deliveries (provider, queue_time) WHERE due IS NOT NULL;
CREATE INDEX deliveries_of_thread ON deliveries (user_id, key);
CREATE INDEX deliveries_dead ON deliveries (give_up_time) WHERE give_up_time IS NOT NULL;
