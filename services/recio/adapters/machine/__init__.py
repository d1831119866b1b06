"""The machine that a process runs on, as Linux tells of it."""
