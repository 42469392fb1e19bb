"""What a device has of its account: the list of conversations, and what it lacks."""
