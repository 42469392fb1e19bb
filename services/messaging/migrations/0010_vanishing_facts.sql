-- When messages vanish is remembered by replicas between sends too: see 0009.
CREATE TRIGGER conversations_note_vanishing BEFORE UPDATE OF vanish_after_s ON conversations
    FOR EACH ROW WHEN (OLD.vanish_after_s <> NEW.vanish_after_s) EXECUTE FUNCTION note_conversation_facts();
