"""Gatecast's own processes, started and stopped together."""
