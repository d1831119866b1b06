"""cascading_failure_detector: names the root cause of a failure and blocks entries; never exits.

Job: fold health into breakers: latched, with hysteresis, budgeted. It restarts nothing.
Reads: the topic ``health``. Writes: ``trading.switches`` (sources ``breaker:<service>``, state
NoNewEntries or Active and nothing else) and ``ops.breakers``, both in one transaction.
On failure: open breakers stay latched and no new one trips.
On restart: it takes up the open ones.
"""
