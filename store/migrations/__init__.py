"""How the tables came to be, one step a file; `store.migrate` runs them."""
