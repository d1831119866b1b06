"""Other systems under the same load, each in an environment of its own."""
