"""A history of one's own for research: files and downloads into the database, and out of it again."""
