"""Measures this machine and every service's process against thresholds: n of m healthy.

Reads ``/proc``, and ``/readyz`` and ``/metrics`` of each process it is told of; writes the topic
``health`` and the table ``ops.health``. It stops and restarts nothing: that is the work of
whoever started the processes.

When it dies, health is unknown, which blocks and releases nothing; its next start measures anew.
"""
