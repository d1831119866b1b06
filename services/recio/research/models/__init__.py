"""Models of probability: built from minutes of the past, judged on minutes that they never saw."""
