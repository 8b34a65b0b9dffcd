"""What operators do over HTTP: promote, roll back, compare, retrain, schedule."""
