"""What the SFU decides: standard library only, no IO, `now` is an argument. Each folder uses those below it:
session, selection, forwarding, congestion, wire."""
