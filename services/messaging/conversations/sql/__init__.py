"""PostgreSQL: conversations, their members, and how each person keeps them."""
