"""The paper exchange: matching, money, REST, WebSocket, settlement, price recording, faults.

Reads: orders of paper accounts over its REST API, a recording or a model through ``world``.
Writes: schema exchange_sim, which no other service can read.
On failure: a request whose effects are not committed gets no reply; its outcome is unknown to the
caller, as with the real exchange. On restart: accounts, keys, orders, fills, balances and the
market clock come back from the database; the world quotes anew.

It shares only units, tickers and errors with the rest of the product: its fees, rounding,
matching, settlement and wire encoding are its own, so that one mistake cannot cancel itself on
both sides. Nobody but runtime imports it.
"""
