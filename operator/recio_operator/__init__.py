"""The Kubernetes operator of REC.IO: turns accounts into workloads."""
