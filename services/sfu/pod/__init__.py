"""A pod: several workers on one machine, a process each."""
