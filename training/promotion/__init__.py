"""Which version becomes champion: the gate, and the aliases that it guards."""
