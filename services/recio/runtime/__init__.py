"""The frame every process shares: settings, clock, ids, logging, metrics, probes, supervision, modes."""
