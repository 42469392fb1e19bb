"""What may be uploaded, and what a file is."""
