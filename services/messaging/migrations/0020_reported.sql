-- Expands only: the code before this migration runs on this schema unchanged.

-- Whom a report is about. Those of before throttle nobody.
ALTER TABLE reports ADD COLUMN reported_ids text[] NOT NULL DEFAULT '{}';
CREATE INDEX reports_by_reported ON reports USING gin (reported_ids);

-- How many people a user asked on a day (UTC) to let a conversation in.
ALTER TABLE new_conversations ADD COLUMN asked int NOT NULL DEFAULT 0;

-- How many conversations of one asker wait with one person, or were declined.
CREATE INDEX members_unanswered ON members (user_id, added_by) WHERE request <> '';
