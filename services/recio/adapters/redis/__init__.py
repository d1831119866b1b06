"""Redis: market data on its way, which may be lost."""
