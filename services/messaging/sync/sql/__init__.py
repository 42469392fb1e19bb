"""PostgreSQL: what each person has, and what a device lacks."""
