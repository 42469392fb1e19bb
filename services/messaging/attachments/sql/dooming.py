"""How objects are queued for deletion. Several files may have one object: each that goes queues it, and the collector
deletes it when none is left."""

# Never DO NOTHING: whoever lets go of an object waits for a collector that is looking for who has it still, so that one
# of the two sees that nobody has.
DOOM_AGAIN = (
    "ON CONFLICT (object_key) DO UPDATE SET due_at = 'epoch',"
    " put_until = greatest(doomed_objects.put_until, excluded.put_until)"
)
