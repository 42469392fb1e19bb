-- When the leg of a device that is closed ends; expands only.
ALTER TABLE participants ADD COLUMN closed_deadline timestamptz;
