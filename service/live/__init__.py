"""Live scores: forecasts held against the truth that came after them, and drift."""
