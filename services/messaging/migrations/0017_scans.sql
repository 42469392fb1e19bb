-- Expands only: the code before this migration runs on this schema unchanged.

-- What the scanner of the deployment says of a file: '' (not asked), 'waiting', 'clean' or 'refused'.
ALTER TABLE attachments ADD COLUMN scan text NOT NULL DEFAULT '';
-- The object that was looked at: what stands there later under another tag is not what was scanned.
ALTER TABLE attachments ADD COLUMN etag text NOT NULL DEFAULT '';
ALTER TABLE attachments ADD COLUMN scan_due_at timestamptz NOT NULL DEFAULT 'epoch';
ALTER TABLE attachments ADD COLUMN scan_attempts int NOT NULL DEFAULT 0;
CREATE INDEX attachments_to_scan ON attachments (scan_due_at) WHERE scan = 'waiting';
