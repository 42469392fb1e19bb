-- The worker's time of the last report of a device's media, so that an older one that comes again changes nothing;
-- expands only.
ALTER TABLE participants ADD COLUMN media_report_time timestamptz;
