"""Random and damaged input for all that reads what others wrote: studies, objects of the cluster, bodies of metrics."""
