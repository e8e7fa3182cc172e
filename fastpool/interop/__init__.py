"""Other libraries' machinery around the public functions."""
