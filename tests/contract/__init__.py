"""The contract of a client, for authors of clients in any language: docs/start/contract.md. Standard library alone."""
