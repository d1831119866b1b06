"""The REST API, by subject. Numbers are integers with the unit in the name."""
