-- What a device that was away lacks, found by one token of its account instead of one cursor for each conversation.
-- Expands only: triggers keep all of it, since replicas of the release before write too while both serve.
--
-- A position is the id of the transaction that changed something (it costs nothing, orders nobody behind anybody and locks nothing). A token
-- holds the oldest id that was still running when it was given: whatever is not told yet has that one or a higher one.
ALTER TABLE conversations
    ADD COLUMN position bigint NOT NULL DEFAULT 0,
    -- More than 16 people have been in it at once: its members' inboxes are not written with each message; reading joins instead.
    ADD COLUMN large boolean NOT NULL DEFAULT false;

ALTER TABLE members
    -- Of the last move of what others may know of this member's cursors; 0 for none.
    ADD COLUMN moved_position bigint NOT NULL DEFAULT 0;

-- By user: the conversations of each person, also those that the person is not in any more (`gone`), so that devices hear of that.
CREATE TABLE inboxes (
    user_id text NOT NULL,
    conversation_id uuid NOT NULL,
    -- Of a large conversation: only of one's own coming and letting in. The rest stands in its row of `conversations`.
    position bigint NOT NULL,
    active_at timestamptz NOT NULL,
    request text NOT NULL,
    gone boolean NOT NULL DEFAULT false,
    large boolean NOT NULL DEFAULT false,
    PRIMARY KEY (user_id, conversation_id)
);
CREATE INDEX inboxes_by_position ON inboxes (user_id, position, conversation_id) WHERE NOT large;
CREATE INDEX inboxes_by_activity ON inboxes (user_id, request, active_at, conversation_id) WHERE NOT large AND NOT gone;
CREATE INDEX inboxes_large ON inboxes (user_id, conversation_id) WHERE large;

-- By user: where cursors of others, or what one keeps of a conversation, changed last. Apart from `inboxes`, which are only written
-- under the conversation's lock: receipts take no such lock, and the two must not wait for each other in a circle.
CREATE TABLE inbox_moves (
    user_id text NOT NULL,
    conversation_id uuid NOT NULL,
    position bigint NOT NULL,
    PRIMARY KEY (user_id, conversation_id)
);
CREATE INDEX inbox_moves_by_position ON inbox_moves (user_id, position, conversation_id);

-- Tokens of another epoch are void. After a restore to an earlier time, or from a dump, call renew_sync_epoch().
CREATE TABLE sync_epoch (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    epoch uuid NOT NULL
);
INSERT INTO sync_epoch (epoch) VALUES (gen_random_uuid());

CREATE FUNCTION current_position() RETURNS bigint LANGUAGE sql VOLATILE AS $$
    SELECT pg_current_xact_id()::text::bigint
$$;

CREATE FUNCTION renew_sync_epoch() RETURNS void LANGUAGE sql AS $$
    UPDATE conversations SET position = 0 WHERE position <> 0;
    UPDATE members SET moved_position = 0 WHERE moved_position <> 0;
    UPDATE inboxes SET position = 0 WHERE position <> 0;
    UPDATE inbox_moves SET position = 0 WHERE position <> 0;
    UPDATE sync_epoch SET epoch = gen_random_uuid();
$$;

UPDATE conversations c SET position = current_position(),
    large = (SELECT count(*) FROM members m WHERE m.conversation_id = c.id) > 16;
INSERT INTO inboxes (user_id, conversation_id, position, active_at, request, gone, large)
SELECT m.user_id, c.id, c.position, c.active_at, m.request, m.request = 'declined', c.large AND m.request <> 'declined'
FROM members m JOIN conversations c ON c.id = m.conversation_id;
INSERT INTO inboxes (user_id, conversation_id, position, active_at, request, gone)
SELECT f.user_id, c.id, c.position, c.active_at, '', true
FROM former_members f JOIN conversations c ON c.id = f.conversation_id
-- A deleted account leaves nothing.
WHERE NOT EXISTS (SELECT FROM account_jobs j WHERE j.user_id = f.user_id AND j.kind = 'deletion')
ON CONFLICT DO NOTHING;

-- Conversations: messages, changes, and the beginning of history.
CREATE FUNCTION note_conversation_position() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.position := current_position();
    RETURN NEW;
END $$;
CREATE TRIGGER conversations_note_position_first BEFORE INSERT ON conversations
    FOR EACH ROW EXECUTE FUNCTION note_conversation_position();
CREATE TRIGGER conversations_note_position BEFORE UPDATE OF last_seq, revision, history_start_seq ON conversations
    FOR EACH ROW WHEN (OLD.last_seq <> NEW.last_seq OR OLD.revision <> NEW.revision
        OR OLD.history_start_seq <> NEW.history_start_seq)
    EXECUTE FUNCTION note_conversation_position();

CREATE FUNCTION move_inboxes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE inboxes i SET position = NEW.position, active_at = NEW.active_at
    FROM members m WHERE m.conversation_id = NEW.id AND i.user_id = m.user_id AND i.conversation_id = NEW.id AND NOT i.gone;
    RETURN NULL;
END $$;
CREATE TRIGGER conversations_move_inboxes AFTER UPDATE OF last_seq, revision, history_start_seq ON conversations
    FOR EACH ROW WHEN (NOT NEW.large AND (OLD.last_seq <> NEW.last_seq OR OLD.revision <> NEW.revision
        OR OLD.history_start_seq <> NEW.history_start_seq))
    EXECUTE FUNCTION move_inboxes();

-- Members. The names put these after members_note_facts, which takes the conversation's lock.
CREATE FUNCTION put_in_inbox() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    room record;
BEGIN
    SELECT c.large, c.active_at INTO room FROM conversations c WHERE c.id = NEW.conversation_id;
    IF TG_OP = 'INSERT' AND NOT room.large
        AND (SELECT count(*) FROM members m WHERE m.conversation_id = NEW.conversation_id) > 16 THEN
        UPDATE conversations SET large = true WHERE id = NEW.conversation_id;
        UPDATE inboxes i SET large = true FROM members m WHERE m.conversation_id = NEW.conversation_id
            AND i.user_id = m.user_id AND i.conversation_id = NEW.conversation_id AND NOT i.gone;
        room.large := true;
    END IF;
    INSERT INTO inboxes (user_id, conversation_id, position, active_at, request, gone, large)
    VALUES (NEW.user_id, NEW.conversation_id, current_position(), coalesce(room.active_at, NEW.joined_at), NEW.request,
        NEW.request = 'declined', coalesce(room.large, false) AND NEW.request <> 'declined')
    ON CONFLICT (user_id, conversation_id) DO UPDATE SET position = excluded.position, active_at = excluded.active_at,
        request = excluded.request, gone = excluded.gone, large = excluded.large;
    RETURN NULL;
END $$;
CREATE TRIGGER members_put_in_inbox_first AFTER INSERT ON members FOR EACH ROW EXECUTE FUNCTION put_in_inbox();
CREATE TRIGGER members_put_in_inbox AFTER UPDATE OF request ON members
    FOR EACH ROW WHEN (OLD.request <> NEW.request) EXECUTE FUNCTION put_in_inbox();

CREATE FUNCTION take_from_inbox() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE inboxes SET position = current_position(), gone = true, large = false
    WHERE user_id = OLD.user_id AND conversation_id = OLD.conversation_id;
    RETURN NULL;
END $$;
CREATE TRIGGER members_take_from_inbox AFTER DELETE ON members FOR EACH ROW EXECUTE FUNCTION take_from_inbox();

-- Cursors: of others only in conversations that are not large. In one order, since receipts of one conversation come at once.
CREATE FUNCTION note_moved_position() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.moved_position := current_position();
    RETURN NEW;
END $$;
CREATE TRIGGER members_note_moved_position BEFORE UPDATE OF read_seq, delivered_seq ON members
    FOR EACH ROW WHEN (OLD.read_seq <> NEW.read_seq OR OLD.delivered_seq <> NEW.delivered_seq)
    EXECUTE FUNCTION note_moved_position();

CREATE FUNCTION note_cursor_moves() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO inbox_moves (user_id, conversation_id, position)
    SELECT DISTINCT told.user_id, told.conversation_id, current_position()
    FROM after_move n
    JOIN before_move b ON b.conversation_id = n.conversation_id AND b.user_id = n.user_id
    JOIN conversations c ON c.id = n.conversation_id
    CROSS JOIN LATERAL (
        SELECT n.user_id, n.conversation_id WHERE n.own_read_seq <> b.own_read_seq OR n.read_seq <> b.read_seq
        UNION ALL
        SELECT o.user_id, o.conversation_id FROM members o WHERE NOT c.large AND o.conversation_id = n.conversation_id
            AND o.user_id <> n.user_id AND (n.read_seq <> b.read_seq OR n.delivered_seq <> b.delivered_seq)
    ) AS told
    ORDER BY told.conversation_id, told.user_id
    ON CONFLICT (user_id, conversation_id) DO UPDATE SET position = excluded.position;
    RETURN NULL;
END $$;
CREATE TRIGGER members_note_cursor_moves AFTER UPDATE ON members
    REFERENCING OLD TABLE AS before_move NEW TABLE AS after_move
    FOR EACH STATEMENT EXECUTE FUNCTION note_cursor_moves();

CREATE FUNCTION note_own_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO inbox_moves (user_id, conversation_id, position)
    VALUES (NEW.user_id, NEW.conversation_id, current_position())
    ON CONFLICT (user_id, conversation_id) DO UPDATE SET position = excluded.position;
    RETURN NULL;
END $$;
CREATE TRIGGER own_states_note_move AFTER INSERT OR UPDATE ON own_states FOR EACH ROW EXECUTE FUNCTION note_own_move();
