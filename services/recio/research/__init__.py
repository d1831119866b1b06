"""Research: what a strategy would have been worth, by the code that trades.

``tapes`` bring recorded or made-up markets, ``backtest`` plays them through the live folds, the same
limits and the same ledger, ``report`` shows what came of it, ``sweep`` compares settings, ``models``
builds and judges probabilities. Nothing here runs beside a trader: no service imports it.
"""
