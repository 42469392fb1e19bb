"""The use-cases of their writers, and the sending at their time."""
