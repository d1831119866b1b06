"""The only caller of order endpoints; one at a time for each account.

Reads ``trading.orders`` that the gate made, writes their state and ``trading.order_events``; holds
``trading.leases``. An order is marked submitted, under the holder's epoch, before its first byte
leaves; a reply that does not come makes it unknown, never rejected. An unknown order is looked for
at the exchange; entries are never sent twice, an exit is sent again under the same id once the
exchange cannot know it any more.

When it dies, what it had claimed is unknown at the next start and is resolved before anything else
is sent. A second copy waits for the lease.
"""
