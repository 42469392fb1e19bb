-- Expands only: the code before this migration runs on this schema unchanged. It takes the call of a scheduled one for
-- one that a server placed.

CREATE TABLE scheduled_calls (
    scheduled_id uuid PRIMARY KEY,
    conversation_id uuid NOT NULL,
    -- Empty when the account was deleted; the title then, too.
    maker_id text NOT NULL,
    -- The client's, of the request that made it.
    request_id text,
    title text NOT NULL,
    video boolean NOT NULL,
    is_group boolean NOT NULL,
    start_time timestamptz NOT NULL,
    length_s integer NOT NULL,
    reminder_s integer NOT NULL,
    create_time timestamptz NOT NULL,
    state text NOT NULL CHECK (state IN ('planned', 'open', 'ended', 'unattended', 'cancelled')),
    was_reminded boolean NOT NULL,
    call_id uuid,
    end_time timestamptz,
    -- When the sweep looks at it next; null when it is over.
    due_time timestamptz,
    version bigint NOT NULL,
    UNIQUE (maker_id, request_id)
);
CREATE INDEX scheduled_calls_due ON scheduled_calls (due_time) WHERE due_time IS NOT NULL;
CREATE INDEX scheduled_calls_in ON scheduled_calls (conversation_id) WHERE due_time IS NOT NULL;
CREATE INDEX scheduled_calls_of_maker ON scheduled_calls (maker_id);
CREATE INDEX scheduled_calls_held ON scheduled_calls (call_id) WHERE call_id IS NOT NULL;
CREATE INDEX scheduled_calls_over ON scheduled_calls (end_time) WHERE end_time IS NOT NULL;

CREATE TABLE scheduled_answers (
    scheduled_id uuid NOT NULL REFERENCES scheduled_calls ON DELETE CASCADE,
    user_id text NOT NULL,
    answer text NOT NULL CHECK (answer IN ('yes', 'no', 'maybe')),
    PRIMARY KEY (scheduled_id, user_id)
);
CREATE INDEX scheduled_answers_of_user ON scheduled_answers (user_id);

-- Who is outside of the conversation and waits for the time.
CREATE TABLE scheduled_waiting (
    scheduled_id uuid NOT NULL REFERENCES scheduled_calls ON DELETE CASCADE,
    user_id text NOT NULL,
    link_id uuid NOT NULL REFERENCES join_links ON DELETE CASCADE,
    wait_time timestamptz NOT NULL,
    PRIMARY KEY (scheduled_id, user_id)
);
CREATE INDEX scheduled_waiting_of_user ON scheduled_waiting (user_id);
CREATE INDEX scheduled_waiting_by_link ON scheduled_waiting (link_id);

ALTER TABLE calls ADD COLUMN scheduled_id uuid;

-- Of a scheduled call until its time comes a link leads to no call yet.
ALTER TABLE join_links
    ADD COLUMN scheduled_id uuid REFERENCES scheduled_calls ON DELETE CASCADE,
    ALTER COLUMN call_id DROP NOT NULL,
    ADD CONSTRAINT join_links_lead_somewhere CHECK (call_id IS NOT NULL OR scheduled_id IS NOT NULL);
CREATE INDEX join_links_of_scheduled ON join_links (scheduled_id) WHERE scheduled_id IS NOT NULL;
