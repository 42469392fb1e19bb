-- Expands only: the code before this migration runs on this schema unchanged, and does not obey it.

ALTER TABLE conversations
    -- Moderation lets nobody say anything in it.
    ADD COLUMN frozen boolean NOT NULL DEFAULT false;
-- It is remembered by replicas between sends too: see 0009.
CREATE TRIGGER conversations_note_frozen BEFORE UPDATE OF frozen ON conversations
    FOR EACH ROW WHEN (OLD.frozen <> NEW.frozen) EXECUTE FUNCTION note_conversation_facts();
