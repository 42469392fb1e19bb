"""What is needed to look at a running stack through a real Prometheus."""
