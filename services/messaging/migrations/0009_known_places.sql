-- What a send rests on (who is in the conversation, who let it in, blocks) is remembered by replicas between sends. `facts` rises whenever any
-- of it changes, so that a send that rests on something older is noticed in its own statement. New members are no reason: nobody remembers them.
ALTER TABLE conversations ADD COLUMN facts bigint NOT NULL DEFAULT 0;

CREATE FUNCTION note_member_facts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE conversations SET facts = facts + 1 WHERE id = OLD.conversation_id;
    RETURN NULL;
END $$;
CREATE TRIGGER members_note_facts AFTER DELETE OR UPDATE OF request ON members
    FOR EACH ROW EXECUTE FUNCTION note_member_facts();

CREATE FUNCTION note_conversation_facts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.facts := OLD.facts + 1;
    RETURN NEW;
END $$;
CREATE TRIGGER conversations_note_facts BEFORE UPDATE OF blocked ON conversations
    FOR EACH ROW EXECUTE FUNCTION note_conversation_facts();
