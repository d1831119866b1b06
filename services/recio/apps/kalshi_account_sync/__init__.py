"""What the exchange knows of one account: orders, fills, settlements, transfers, cash.

The private stream tells first, reading everything back always confirms: the stream has no sequence
numbers, so what it lost cannot be known otherwise. Each fact is stored once, by the exchange's id,
with its postings, in one transaction (``trading.fills``, ``trading.settlements``,
``trading.positions``, ``trading.ledger_transactions``, ``trading.ledger_postings``,
``trading.totals``); orders are moved on (``trading.orders``); what somebody did outside of this
system becomes an external trade (``trading.trades``). Cash is compared in quiet moments
(``trading.balances``); a difference that stays halts entries, and a broken loss limit sets the
switch that ``risk.onBreach`` names (``trading.switches``).

When it dies, nothing is lost: the next start reads back everything since the last fact.
"""
