"""How Parley is deployed: the embedded stack of a developer's machine, and what Kubernetes applies."""
