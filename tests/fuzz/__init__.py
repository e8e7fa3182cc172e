"""Random calls against the general skeleton and the oracle: `python -m tests.fuzz` (docs/reliability.md)."""
