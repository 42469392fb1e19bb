"""Join links: a way into one call of a group for people outside of its conversation, by way of a lobby."""
