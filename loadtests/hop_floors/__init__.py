"""What `loadtests.floors` is made of: the hops of a message with nothing of ours in them, and the edge of one."""
