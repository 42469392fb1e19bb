-- Expands only. The calls that ring or run in a conversation, direct ones too, as servers of the network list them.
CREATE INDEX calls_running_in ON calls (conversation_id) WHERE state <> 'ended';
