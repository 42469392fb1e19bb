-- Expands only: the code before this migration runs on this schema unchanged, and takes all legs for the call's worker's.

ALTER TABLE calls
    -- Whether a device ever was on another worker than the call.
    ADD COLUMN spread boolean NOT NULL DEFAULT false,
    -- What the workers' relays are named and encrypted from; goes with the end of the call.
    ADD COLUMN relay_secret bytea,
    -- Rises before the workers are asked.
    ADD COLUMN relay_revision bigint NOT NULL DEFAULT 0,
    ADD COLUMN relay_look_time timestamptz,
    -- The call's version when its only worker was told that there is no other one.
    ADD COLUMN relay_settled_version bigint;
CREATE INDEX calls_spread ON calls (relay_look_time) WHERE spread AND state <> 'ended';

ALTER TABLE participants
    -- The worker of the user's device, where that is not the call's.
    ADD COLUMN media_worker_id text,
    ADD COLUMN media_worker_address text,
    ADD COLUMN media_worker_start_time timestamptz,
    -- The one before, until the device's media is up where it goes to.
    ADD COLUMN former_media_worker_id text,
    ADD COLUMN former_media_worker_address text,
    ADD COLUMN former_media_worker_start_time timestamptz,
    ADD COLUMN epoch_offset integer NOT NULL DEFAULT 0,
    ADD CHECK ((media_worker_id IS NULL) = (media_worker_address IS NULL)),
    ADD CHECK ((former_media_worker_id IS NULL) = (former_media_worker_address IS NULL));
