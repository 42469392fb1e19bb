-- Expands only: the code before this migration runs on this schema unchanged.

-- How the words were made (core/searching.py: FORM). What an older release indexed is indexed anew, some at a time, by
-- every replica of this one; what a replica of the release before still writes meanwhile has the default.
ALTER TABLE message_words ADD COLUMN form smallint NOT NULL DEFAULT 1;
CREATE INDEX message_words_of_older_forms ON message_words (conversation_id, seq) WHERE form < 2;
