"""Figures that a test measures and does not judge: they are this machine's as much as ours."""

# The property of a test's report under which such a figure stands.
FIGURE = "figure"
# What a test with a fresh seed drew, so that it can be run again; tests/run.py says it at its end.
DRAWN = "drawn"
