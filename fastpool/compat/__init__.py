"""Other frameworks' words over fastpool's functions."""
