"""The exchange's rules: pure, synchronous, in memory; time is handed in with every call."""
