"""PostgreSQL: groups, invites and bans."""
