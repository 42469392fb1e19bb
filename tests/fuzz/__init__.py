"""Fuzzing of what reads strangers' bytes: targets/ has one file each, corpus/ the seeds and the inputs that once failed."""
