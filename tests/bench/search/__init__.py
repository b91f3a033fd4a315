"""Benchmarks of the search on one objective: ours, random and Optuna's samplers in one run."""
