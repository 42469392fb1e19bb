-- Expands only: the code before this migration runs on this schema unchanged, and does not obey it.

-- Whom moderation lets write nothing for a time. A row whose time is over says nothing.
CREATE TABLE account_restrictions (
    user_id text PRIMARY KEY,
    restricted_until timestamptz NOT NULL
);
