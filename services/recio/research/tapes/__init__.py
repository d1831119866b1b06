"""Sources of tapes, one module each."""
