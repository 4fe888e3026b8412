"""Who makes jobs: local processes, or Ray."""
