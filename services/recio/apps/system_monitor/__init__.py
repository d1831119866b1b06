"""system_monitor: how well this machine and every service's process are; n of m healthy.

Job: measure CPU, memory, disk and latency against thresholds. It stops and restarts nothing: that
is the work of whoever started the processes.
Reads: ``/proc``; ``/readyz`` and ``/metrics`` of each process it is told of, by settings and by a file that may change.
Writes: the topic ``health``, the table ``ops.health``.
On failure: health is unknown, which trips no breaker and releases none.
On restart: it measures anew.
"""
