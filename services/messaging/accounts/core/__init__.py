"""What belongs to a person, how far a job has come, and which tokens are refused."""
