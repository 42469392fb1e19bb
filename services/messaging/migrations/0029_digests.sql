-- Expands only: the code before this migration runs on this schema unchanged, and takes no digests.

-- The SHA-256 of a file's bytes, taken when it was scanned while a list of hashes was configured; null for all others.
ALTER TABLE attachments ADD COLUMN digest bytea;
