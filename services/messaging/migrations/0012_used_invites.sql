-- Expands only: the code before this migration runs on this schema unchanged.

-- An invite that ended is kept for a while, so that who came in by it can ask again: `expires_at` is the epoch then, which
-- lets nobody in, and this is when it would have expired.
ALTER TABLE invites ADD COLUMN ended_before timestamptz;
