"""Public price feeds of spot venues: Coinbase Exchange, Kraken, Bitstamp. Each knows one wire."""
