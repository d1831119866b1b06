"""The whole system on one machine: embedded PostgreSQL and Redis, processes, supervision."""
