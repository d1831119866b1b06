"""db_poller: the change feed from PostgreSQL to browsers.

Job: PostgreSQL's NOTIFY on channel ``changes`` becomes messages; nothing polls.
Reads: the database's hints, no table. Writes: the topic ``changes``.
On failure: pages show what they had until their own slow re-read; nothing else notices.
On restart, and on each reconnection, every table is told once: hints may have been lost meanwhile.
"""
