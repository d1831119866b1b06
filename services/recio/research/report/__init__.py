"""What a backtest found, as a page, tables and files."""
