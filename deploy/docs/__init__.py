"""The documentation site: `make docs` builds it, `make lint` checks it."""
