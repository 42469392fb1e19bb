-- What each endpoint is to be told, or was told: kept for replays, for so many days.
CREATE TABLE deliveries (
    -- Within an endpoint and an order_key, the order of the events.
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    endpoint text NOT NULL,
    -- The event's; the same at all endpoints.
    webhook_id text NOT NULL,
    -- Such as conversation:0190…
    order_key text NOT NULL,
    type text NOT NULL,
    event_time timestamptz NOT NULL,
    body bytea NOT NULL,
    -- With what people wrote and named: for endpoints that are told it, until it is erased.
    body_with_contents bytea,
    -- Whose words that body holds, and of which message.
    author_id text,
    message_id text,
    -- 0 waits, 1 delivered, 2 given up (core/model.py: DeliveryState)
    state smallint NOT NULL DEFAULT 0,
    attempts integer NOT NULL DEFAULT 0,
    -- HTTP; 0 when no answer came.
    last_status smallint NOT NULL DEFAULT 0,
    create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- When it began to wait: anew with a replay.
    queue_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (endpoint, webhook_id)
);

-- The next of a key, and the oldest of an endpoint.
CREATE INDEX deliveries_next ON deliveries (endpoint, order_key, id) WHERE state = 0;
CREATE INDEX deliveries_waiting ON deliveries (endpoint, id) WHERE state = 0;
CREATE INDEX deliveries_dead ON deliveries (endpoint, id) WHERE state = 2;
-- Replays.
CREATE INDEX deliveries_of_time ON deliveries (endpoint, event_time) WHERE state <> 0;
-- What is kept for long enough.
CREATE INDEX deliveries_created ON deliveries (create_time);
-- What is erased.
CREATE INDEX deliveries_of_author ON deliveries (author_id) WHERE body_with_contents IS NOT NULL;
CREATE INDEX deliveries_of_message ON deliveries (message_id) WHERE body_with_contents IS NOT NULL;

-- The keys of which something waits: a row is there before the delivery is seen, and goes with the last one. Whoever adds
-- and whoever takes the row away both lock it.
CREATE TABLE queues (
    endpoint text NOT NULL,
    order_key text NOT NULL,
    -- When somebody may send again: now, after a failure later, and while somebody sends, when the lease runs out.
    due timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Who sends.
    claim text,
    -- The endpoint failed, not this key alone: due as soon as the endpoint takes anything.
    waits_for_endpoint boolean NOT NULL DEFAULT false,
    PRIMARY KEY (endpoint, order_key)
);

CREATE INDEX queues_due ON queues (endpoint, due);

-- What replicas tell each other of endpoints; an endpoint without a row is well.
CREATE TABLE endpoints (
    name text PRIMARY KEY,
    -- The address that answered 410 (Gone).
    disabled_url text,
    disable_time timestamptz,
    failing_since timestamptz
);
