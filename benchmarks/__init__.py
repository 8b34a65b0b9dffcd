"""Every figure in the docs, each by one command: `python -m benchmarks NAME`."""
