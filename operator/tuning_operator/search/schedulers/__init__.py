"""Schedulers: which trial may train on. Pure functions over committed rung tables; no clock, no randomness."""
