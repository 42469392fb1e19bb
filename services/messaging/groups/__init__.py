"""Groups: who is in, who may do what, invites."""
