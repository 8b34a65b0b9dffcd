"""From data to registered versions: sources, fits, backtests, tracking, promotion."""
