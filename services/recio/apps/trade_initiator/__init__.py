"""The gate: the only way from an intent to an order.

Reads intents, writes trades and orders (``trading.intents``, ``trading.trades``,
``trading.orders``). Each intent is decided in one transaction with the account's row locked, then
the fleet's: checks, reservation, trade, order. It never touches a trade afterwards.

When it dies, nothing is lost: undecided intents are still there; entries die of their own
``valid_until``. A second copy is harmless: the lock makes the two take turns, and an intent is
decided once.
"""
