"""The whole loop, driven over HTTP and by commands, for people and for tests."""
