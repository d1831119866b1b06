"""PostgreSQL: the truth. What opens connections, what runs statements, and the queries by subject."""
