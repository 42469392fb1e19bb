"""Calls: who rings whom, who answered, when it ended, and which SFU worker carries the media."""
