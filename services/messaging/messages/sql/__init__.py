"""PostgreSQL: messages, their edits, reactions and votes, and the one place where content is erased."""
