"""What a forecaster is: spec, encoder, cells, heads, states, metrics and the bundle."""
