"""Calls that are on several workers: what these are told of each other."""
