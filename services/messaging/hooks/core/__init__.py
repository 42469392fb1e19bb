"""What a hook may answer, what an answer makes of a text, and when a hook is given up for a while."""
