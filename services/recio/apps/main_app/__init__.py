"""main_app: the web page, the REST API and one WebSocket to each browser.

Job: shows every account of the release and takes a person's wishes. It decides nothing: a manual
entry or close becomes a row of ``trading.intents`` that the gate judges like any other; a switch
is this person's own latched row; a setting is a new generation of overrides.

Reads: the topics ``prices``, ``markets``, ``exchange_status``, ``snapshots``, ``changes`` and
``health``; the tables of ``trading``, ``market`` and ``ops``, re-read when ``changes`` hints.
Writes: ``trading.intents``, ``trading.account_settings``, ``trading.switches``, ``ops.users``,
``ops.sessions``.
On failure: without the bus the page says how old its figures are; without PostgreSQL it shows the
market and refuses every write. Nothing that trades waits for it.
On restart: browsers reconnect and receive a whole snapshot; sessions live in the database.
"""
