"""REC.IO: a trader's own system for Kalshi's Bitcoin event contracts.

Layers import downward only: ``apps > runtime > adapters > engine > domain``. ``manifest`` and
``ports`` are declarations that every layer above ``engine`` may read. ``exchange_simulator`` is a
product part of its own and shares only units and ticker grammar with the rest.
"""
