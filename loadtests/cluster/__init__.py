"""`make cluster-test`: Parley on a real Kubernetes, and what people notice while it is changed, drained and broken."""
