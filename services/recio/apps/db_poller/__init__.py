"""Change feed: PostgreSQL's NOTIFY on channel ``changes`` becomes messages for browsers.

Reads the database's hints (no table); writes the topic ``changes``. Nothing polls.

When it dies, pages show what they had until their own slow re-read; nothing else notices. Its start
and each reconnection tell every table once, because hints may have been lost in between.
"""
