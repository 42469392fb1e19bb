"""Messages of one conversation, as a device keeps them."""

from parley_client.entries import Entry


def entry(seq: int, message_id: str | None = None, client_id: str | None = None) -> Entry:
    return Entry("c1", seq, message_id or f"m{seq}", "alice", client_id or f"k{seq}", text=f"text {seq}")
