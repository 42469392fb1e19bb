"""PostgreSQL: uploads, and the files of messages."""
