-- What people did here through the admin services: one row before a call runs, one when it ended. Rows are only added.
CREATE TABLE admin_audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Of one call: the same in both of its rows, and in the lines of the log.
    request_id text NOT NULL,
    -- The subject of the person's token, and the roles that it said.
    who text NOT NULL,
    roles text[] NOT NULL,
    api text NOT NULL,
    method text NOT NULL,
    -- Whom or what the request names: the provider of notices.
    targets jsonb NOT NULL,
    -- Empty before the call ran; then the gRPC status.
    outcome text NOT NULL
);

CREATE INDEX admin_audit_at ON admin_audit (at);

CREATE FUNCTION admin_audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'admin_audit takes no %', TG_OP USING ERRCODE = 'insufficient_privilege';
END
$$;

CREATE TRIGGER admin_audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON admin_audit
    FOR EACH STATEMENT EXECUTE FUNCTION admin_audit_is_append_only();
-- Also in a session that plays a replica, for which other triggers do not fire.
ALTER TABLE admin_audit ENABLE ALWAYS TRIGGER admin_audit_append_only;
