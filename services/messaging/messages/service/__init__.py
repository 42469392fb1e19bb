"""The use-cases of messages, how concurrent sends are committed together, and how fast a person may write."""
