"""What people who run Parley ask of the running services."""
