"""Who read what, what reached whom, and who is told."""
