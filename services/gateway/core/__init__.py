"""Pure decisions: which devices are here, which replicas route them, queues, limits, and how streams end."""
