"""Calls and media workers."""


def located(call_id: str, worker_id: str, epoch: int) -> list[str]:
    """Where a call's media is."""
    return [f"call {call_id}: worker {worker_id or 'none yet'}; moves so far: {epoch}"]


def drained(worker_id: str, calls_left: int) -> list[str]:
    """What a drain has come to."""
    if not calls_left:
        return [f"{worker_id} takes no calls and carries none: it can be stopped"]
    return [f"{worker_id} takes no calls, and keeps {calls_left}: no other worker has room. Try again when one has"]


def undrained(worker_id: str) -> list[str]:
    """A worker is in service again."""
    return [f"{worker_id} takes calls again"]
