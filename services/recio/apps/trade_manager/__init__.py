"""Folds the facts of one account into its trades: open, closing, closed, expired, settled.

Reads fills, orders, settlements; writes ``trading.trades``. Each fold recomputes the whole trade
from its facts, so a fact told twice, late or out of order changes nothing but the time.

When it dies, facts go on being booked and exits go on; its next start folds what it missed.
"""
