"""How many examples a dear property is tried with: few in each run, more when somebody asks for them."""

import os

# PARLEY_EXAMPLES=10 tries ten times as many.
FACTOR = float(os.environ.get("PARLEY_EXAMPLES", "1"))


def examples(count: int) -> int:
    """For `max_examples`. `count` is what a usual run has time for."""
    return max(1, round(count * FACTOR))
