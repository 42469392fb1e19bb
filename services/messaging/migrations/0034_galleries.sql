-- Expands only: the code before this migration runs on this schema unchanged.

-- What was sent in a conversation, by its kind: pictures and videos, other files, voice messages, links. Few messages
-- hold one, so that these are small, and a page of a gallery looks at no other message. The conditions are those of
-- search/sql.py: _HOLDS, and look at bytes, so that what is stored needs no new column. While they are made, sends wait;
-- docs/operations/upgrade.md says how to make them beforehand.
CREATE INDEX IF NOT EXISTS messages_with_pictures ON messages (conversation_id, seq)
    WHERE encode(attachments, 'escape') ~ '(image|video)/';
CREATE INDEX IF NOT EXISTS messages_with_files ON messages (conversation_id, seq)
    WHERE kind <> 'voice' AND encode(attachments, 'escape') ~ '(?<!image|video)/[a-z1-9]';
CREATE INDEX IF NOT EXISTS messages_with_voice ON messages (conversation_id, seq) WHERE kind = 'voice';
CREATE INDEX IF NOT EXISTS messages_with_links ON messages (conversation_id, seq)
    WHERE encode(entities, 'escape') ~* 'https?://';
