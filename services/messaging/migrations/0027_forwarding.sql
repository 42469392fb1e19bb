-- Expands only: the code before this migration runs on this schema unchanged. It deletes an object with the first file
-- that lets go of it, so devices may forward once every replica has this release.

-- The words, or the sound, are a copy of another message's.
ALTER TABLE messages ADD COLUMN forwarded boolean NOT NULL DEFAULT false;

-- Of a forwarded file: the upload whose object it has. The object lives as long as any row that has it.
ALTER TABLE attachments ADD COLUMN object_id uuid;
CREATE INDEX attachments_by_object ON attachments (object_id) WHERE object_id IS NOT NULL;

-- What was reported, wherever the file was forwarded to.
CREATE INDEX report_messages_by_attachment ON report_messages USING gin (attachment_ids);
