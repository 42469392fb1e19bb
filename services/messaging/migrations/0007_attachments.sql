-- Expands only: the code before this migration runs on this schema unchanged.

-- By owner: every upload from its announcement on; `conversation_id` and `seq` are set once a message has it.
CREATE TABLE attachments (
    id uuid PRIMARY KEY,
    owner_id text NOT NULL,
    client_upload_id text NOT NULL,
    file_name text NOT NULL,
    content_type text NOT NULL,
    size_bytes bigint NOT NULL,
    width int NOT NULL DEFAULT 0,
    height int NOT NULL DEFAULT 0,
    length interval NOT NULL DEFAULT '0',
    created_at timestamptz NOT NULL,
    -- An address to put bytes to is good until then.
    put_until timestamptz NOT NULL,
    -- An upload that is in no message by then is deleted.
    unused_until timestamptz NOT NULL,
    conversation_id uuid,
    seq bigint,
    UNIQUE (owner_id, client_upload_id)
);
CREATE INDEX attachments_unused ON attachments (unused_until) WHERE conversation_id IS NULL;
CREATE INDEX attachments_by_message ON attachments (conversation_id, seq) WHERE conversation_id IS NOT NULL;

-- What is to be deleted from the object store: written with the change that dooms it, gone once it is deleted.
CREATE TABLE doomed_objects (
    object_key text PRIMARY KEY,
    due_at timestamptz NOT NULL DEFAULT 'epoch',
    -- Until then somebody may put the bytes (again), so that it is deleted once more afterwards.
    put_until timestamptz NOT NULL DEFAULT 'epoch'
);
CREATE INDEX doomed_objects_by_due ON doomed_objects (due_at);

-- A serialized parley.messaging.v1.Message with the attachments alone: who reads messages needs no second statement.
ALTER TABLE messages ADD COLUMN attachments bytea;
