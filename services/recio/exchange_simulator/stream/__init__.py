"""The exchange's WebSocket without a socket: sessions, subscriptions, and what is pushed to them."""
