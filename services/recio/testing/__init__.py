"""Fakes and builders that ship with the product: in-memory ports, virtual time, ready-made values."""
