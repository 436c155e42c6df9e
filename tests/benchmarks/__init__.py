"""Times and memory beside the peers: ``python -m tests.benchmarks NAME`` prints a table and writes JSON."""
