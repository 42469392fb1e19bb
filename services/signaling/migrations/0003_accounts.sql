-- Expands only: the code before this migration runs on this schema unchanged.

-- Deleted accounts of which something may still come to stand here: others' calls that they were in still run, or messaging
-- has not erased them yet. A row goes when nothing can be left.
CREATE TABLE erasures (
    user_id text PRIMARY KEY,
    -- Messaging has: no call that begins from now on has the person among its members.
    is_last boolean NOT NULL
);

-- Since when the device that is in the call is in it: devices that were signed out before stay out, and newer ones in.
ALTER TABLE participants ADD COLUMN seat_time timestamptz;
