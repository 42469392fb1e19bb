-- Requests in calls have keys too, so that there are more of them than calls: who forgets a call finds its keys by this.
CREATE INDEX call_keys_of_call ON call_keys (call_id);
