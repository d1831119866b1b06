"""The only caller of order endpoints; one at a time for each account.

Reads ``trading.orders`` that the gate made, writes their state and ``trading.order_events``; holds
``trading.leases``; remembers in ``trading.exchange_limits`` the fuse that entries carry at the
exchange, and refuses entries by its row in ``trading.switches`` when that is blown. An order is marked submitted, under the holder's epoch, before its first byte
leaves; a reply that does not come makes it unknown, never rejected. An unknown order is looked for
at the exchange; entries are never sent twice, an exit is sent again under the same id once the
exchange cannot know it any more and while it is still valid. A halt takes everything off the book.

When it dies, what it had claimed is unknown at the next start and is resolved before anything else
is sent. A second copy waits for the lease.
"""
