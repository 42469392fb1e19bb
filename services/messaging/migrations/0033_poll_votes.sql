-- Expands only: the code before this migration runs on this schema unchanged. It leaves the votes of what it erases,
-- which nobody is shown: only polls have votes.

-- Who chose which options of a poll.
CREATE TABLE poll_votes (
    conversation_id uuid NOT NULL,
    seq bigint NOT NULL,
    option_index int NOT NULL,
    user_id text NOT NULL,
    position bigint GENERATED ALWAYS AS IDENTITY,
    PRIMARY KEY (conversation_id, seq, option_index, user_id)
);
