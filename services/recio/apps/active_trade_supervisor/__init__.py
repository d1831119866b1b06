"""active_trade_supervisor: watches every open trade of one account and closes it when it must.

Job: live view of open trades, probability stop, momentum stop, flatten; exits repeated until flat.
Reads: snapshots, or market.snapshot_latest once a second when the bus gives none; the account's
settings, switches, trades. Writes: intents, stops, decisions.
On failure: needs PostgreSQL and nothing else; without probabilities the probability stop is off,
without any market data flatten still works.
On restart: what has fired and how often it was tried comes back from the database.
"""
