"""What all of Parley's services share. It imports no service."""
