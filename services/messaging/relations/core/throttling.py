"""How reports slow down the person whom they are about."""

from datetime import timedelta

# Reports count so long. Raising it makes people wait longer who were reported wrongly; lowering it soon makes a spammer
# as quick as before.
REPORTS_COUNT_FOR = timedelta(days=7)
# So many different reporters change nothing. Raising it lets a spammer reach more people first; lowering it lets two
# who agree slow down anybody.
FREE_REPORTERS = 2


def requests_allowed(limit: int, reporters: int) -> int:
    """How many people somebody may ask a day whom so many different people reported: half for each reporter beyond
    FREE_REPORTERS, and one at least, so that the mistaken are slowed down and not shut out."""
    return max(1, limit >> min(max(0, reporters - FREE_REPORTERS), 32))
