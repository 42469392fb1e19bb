"""A checker in the manner of Jepsen: many clients, a nemesis, a recorded history, and promises that it must keep."""
