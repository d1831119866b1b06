"""btc_price_watchdog: the price of each symbol, from the settlement index and from the spot venues.

Job: follow the exchange's index stream and the venues' feeds; publish index, cross-checked spot,
basis, averages, gaps and ages; load minute closes of the past at the start; store seconds and
minutes in batches; answer ``GET /api/btc_price`` from memory.
Reads: outside feeds only. Writes: prices.
On failure: a silent source is shown as silent, its price is dropped when it is too old; without the
database batches wait, without the bus updates are counted and lost.
On restart: the minutes of the past are loaded again; nothing else is remembered.
"""
