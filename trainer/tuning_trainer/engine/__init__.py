"""Runs a configuration: device, loop, evaluation, checkpoints, and the way every end becomes an exit code."""
