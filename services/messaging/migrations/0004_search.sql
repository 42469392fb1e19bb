-- Filled by the consumer `messaging-search`, off the way of a send; a row goes at once when its message is unsent.
CREATE TABLE message_words (
    conversation_id uuid NOT NULL,
    seq bigint NOT NULL,
    -- Of the message: a UUIDv7, so that it also orders by time.
    message_id uuid NOT NULL,
    -- The revision of the message that was indexed.
    revision bigint NOT NULL,
    words tsvector NOT NULL,
    PRIMARY KEY (conversation_id, seq)
);
CREATE INDEX message_words_by_word ON message_words USING gin (words);
