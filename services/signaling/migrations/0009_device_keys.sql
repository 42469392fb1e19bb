-- Expands only. What stands here is public, or sealed to a device: nothing of it opens anything.

CREATE TABLE account_keys (
    user_id text PRIMARY KEY,
    version integer NOT NULL,
    account_key bytea NOT NULL
);

CREATE TABLE device_keys (
    user_id text NOT NULL REFERENCES account_keys ON DELETE CASCADE,
    device_id text NOT NULL,
    signing_key bytea NOT NULL,
    kem_key bytea NOT NULL,
    publish_time timestamptz NOT NULL,
    -- Empty until another device of the account has confirmed this one.
    signature bytea NOT NULL,
    -- The account's private key, sealed to the device.
    sealed_account_key bytea NOT NULL,
    PRIMARY KEY (user_id, device_id)
);

-- The last frame key of each sender for each device in a running call, sealed to it. A person is in a call with one
-- device. They go with the call's end; the reference is for replicas of the release before, which forget calls.
CREATE TABLE sealed_call_keys (
    call_id uuid NOT NULL REFERENCES calls ON DELETE CASCADE,
    sender_user_id text NOT NULL,
    sender_device_id text NOT NULL,
    user_id text NOT NULL,
    device_id text NOT NULL,
    epoch bigint NOT NULL,
    sealed_key bytea NOT NULL,
    PRIMARY KEY (call_id, sender_user_id, user_id)
);
CREATE INDEX sealed_call_keys_of_sender ON sealed_call_keys (sender_user_id);
CREATE INDEX sealed_call_keys_of_user ON sealed_call_keys (user_id);
