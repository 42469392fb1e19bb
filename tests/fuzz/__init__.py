"""Fuzzing of what reads strangers' bytes: one file each in targets/; corpus/ has seeds and inputs that failed once."""
