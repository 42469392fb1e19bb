"""PostgreSQL: messages, their edits, reactions, votes and openings, and the one place where content is erased."""
