"""A real Kubernetes of one node on this machine: in a network namespace, from nothing, and all gone again."""
