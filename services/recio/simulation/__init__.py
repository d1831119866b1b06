"""Deterministic simulation: the real services, the paper exchange and a real PostgreSQL under faults.

Everything runs in one process on a virtual-time event loop (``loop``). A seed makes a plan of one
market hour (``plan``): wishes good and bad, a moving book, orders by hand, switches, and faults. The
stage (``stage``) runs the services of two accounts, each in a simulated process of its own that can
be killed, frozen and started twice; between them and the exchange lies a simulated network
(``network``), between them and PostgreSQL a door that can be shut (``database``). What happened is a
``History``; ``invariants`` judges it. The same seed gives the same history to the byte.
"""
