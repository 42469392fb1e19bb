"""The edge: one Envoy configuration template, for the embedded stack and for Kubernetes."""
