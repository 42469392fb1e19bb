-- Expands only: the code before this migration runs on this schema unchanged.

-- Replicas remember of whom nothing was held in a conversation (see 0009), so that most of what is judged asks nothing
-- before. Edits are no reason: their keys are their own.
CREATE FUNCTION note_held_facts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE conversations SET facts = facts + 1 WHERE id = NEW.conversation_id;
    RETURN NULL;
END $$;
CREATE TRIGGER held_messages_note_facts AFTER INSERT ON held_messages
    FOR EACH ROW WHEN (NEW.seq = 0) EXECUTE FUNCTION note_held_facts();
