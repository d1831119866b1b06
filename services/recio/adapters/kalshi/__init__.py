"""Kalshi Trade API v2: signatures, wire format, REST, WebSocket, rate budget. Knows one outside system."""
