-- Expands only: the code before this migration runs on this schema unchanged, and takes guests for people who went.

-- Ways into one call for people outside of its conversation. It goes with the call, also where the release before prunes.
CREATE TABLE join_links (
    link_id uuid PRIMARY KEY,
    call_id uuid NOT NULL REFERENCES calls ON DELETE CASCADE,
    -- Empty when the account was deleted.
    maker_id text NOT NULL,
    create_time timestamptz NOT NULL,
    expire_time timestamptz NOT NULL,
    revoke_time timestamptz,
    -- When the guests of a revoked link were out.
    close_time timestamptz,
    -- SHA-256. The secret itself is stored nowhere.
    secret_hash bytea NOT NULL UNIQUE,
    -- With the client's id of the request, which is not stored either, it gives the secret again to a retry.
    salt bytea NOT NULL,
    request_hash bytea UNIQUE
);
CREATE INDEX join_links_of_call ON join_links (call_id);
CREATE INDEX join_links_of_maker ON join_links (maker_id);
CREATE INDEX join_links_to_close ON join_links (revoke_time) WHERE revoke_time IS NOT NULL AND close_time IS NULL;

ALTER TABLE participants
    -- By which link a guest came.
    ADD COLUMN guest_link_id uuid,
    ADD COLUMN knock_time timestamptz,
    -- Where somebody stands who is not part of the call; `state` is then 'gone'.
    ADD COLUMN outside text CHECK (outside IN ('lobby', 'refused', 'withdrawn'));
