"""PostgreSQL: messages, their edits and reactions, and the one place where content is erased."""
