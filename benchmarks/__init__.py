"""Several systems, the same work on the same data, in one run. ``python -m benchmarks --help``."""
