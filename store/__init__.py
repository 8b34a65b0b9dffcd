"""What must survive: settings, names and, later, observations and stream checkpoints."""
