"""A trader's own strategy in a process of its own: values in, proposals out, nothing else.

``inside`` is the process: it builds its own walls (``walls``, ``syscalls``), then loads the trader's
class. ``child`` starts, feeds and kills it, ``client`` waits for it in the backtest and ``asking`` in
the live service. What crosses is defined in ``wire``. docs/strategies.md says what each wall holds
where.
"""
