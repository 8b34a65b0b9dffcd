"""The FastAPI application: it serves the versions that the registry selects."""
