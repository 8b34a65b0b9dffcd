"""`gatecast stream`: lines of a file, a pipe or a folder, sent to a running service."""
