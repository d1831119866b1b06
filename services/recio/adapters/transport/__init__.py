"""HTTP/1.1 and WebSocket clients behind the transport ports. Know the protocols and no exchange."""
