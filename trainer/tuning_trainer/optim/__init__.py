"""Everything that changes weights: optimisers, schedules, clipping, losses."""
