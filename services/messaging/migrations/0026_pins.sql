-- Expands only: the code before this migration runs on this schema unchanged. It leaves the pin of what it erases.

-- Messages that all members keep in view. No column says who pinned them: the system message does.
CREATE TABLE pins (
    conversation_id uuid NOT NULL,
    seq bigint NOT NULL,
    pinned_at timestamptz NOT NULL,
    PRIMARY KEY (conversation_id, seq)
);
