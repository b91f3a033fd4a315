"""Chaos: studies run on the real control plane while a seeded sequence of faults hits it; see `__main__.py`."""
