"""What a model costs, as metrics of a study: parameters, bytes, time, operations, memory, energy. One file each."""
