"""What a path bears: delay, loss, queues, missing feedback, probes."""
