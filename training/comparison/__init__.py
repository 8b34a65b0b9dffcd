"""Versions side by side: on the same windows, with significance, costs and live scores."""
