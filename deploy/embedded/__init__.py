"""The embedded stack: everything that Parley needs, from PyPI, on one machine and on loopback only."""
