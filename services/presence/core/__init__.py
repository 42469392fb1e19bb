"""Pure decisions: which devices are where, the states of users, watch lists, and what is sent to which gateway."""
