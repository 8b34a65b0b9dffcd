"""Retraining: schedules, runs and the processes that do them."""
