"""What we are made of: a bill of materials, and known holes in it."""
