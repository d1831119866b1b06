"""kalshi_api_watchdog: markets of the live events, their order books, and whether the exchange trades.

Job: name the live events of each series, read their markets, follow books, lifecycle and volume over
one WebSocket; publish markets on each change, tops of books conflated, the exchange's status; store
events, markets, results and tops of books.
Reads: the exchange only. Writes: books, markets, exchange_status.
On failure: a gap or a lost connection makes books invalid at once and tells so; what REST does not
answer stays as it was and is asked again; without the database batches wait.
On restart: everything is read anew, results of the last hour included.
"""
