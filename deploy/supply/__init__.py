"""The software bill of materials, and the known vulnerabilities of what is in it."""
