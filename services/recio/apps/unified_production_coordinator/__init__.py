"""unified_production_coordinator: one immutable picture of each live event, made on events.

Job: fold prices, markets, books and exchange_status into snapshots (momentum, probabilities, strike
table); publish them, and write the newest of each event once a second into market.snapshot_latest.
Reads: prices, books, markets, exchange_status. Writes: snapshots.
On failure: without prices or books it goes on and says what is missing; without the bus it counts.
On restart: generations go on above the last one; look-backs come from market.minutes.
"""
