"""What people have written and not sent, on all of their devices."""
