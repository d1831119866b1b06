"""One folder for each outside system; adapters know the domain and their system, nothing else."""
