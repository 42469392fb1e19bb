"""How long to wait before a process that ended is started again."""

# The first restart comes nearly at once: a crash should cost clients one reconnect. The pause doubles up to the
# limit, so that a process that cannot start does not fill the machine and the log.
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 5.0
# Who ran this long is taken to be healthy: its next crash starts again with the first pause.
HEALTHY_AFTER_S = 10.0


def next_pause_s(pause_s: float, ran_s: float) -> float:
    """The pause before the next restart; `pause_s` is the one before it, 0 when there was none."""
    if pause_s == 0 or ran_s >= HEALTHY_AFTER_S:
        return FIRST_PAUSE_S
    return min(pause_s * 2, LONGEST_PAUSE_S)
