"""Other open forecasters on the same data, machine and hour, in an environment of their own."""
