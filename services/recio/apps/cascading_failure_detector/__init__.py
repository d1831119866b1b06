"""Names the root cause of a failure and trips breakers that block entries; never exits.

Reads the topic ``health``; writes ``trading.switches`` (sources ``breaker:<service>`` only, state
NoNewEntries only) and ``ops.breakers``, both in one transaction. It restarts nothing.

When it dies, open breakers stay latched and no new one trips; its next start takes up the open ones.
"""
