"""A search for settings that fit the data better than the defaults do."""
