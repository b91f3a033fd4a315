"""What a training is for: what the model gives, what its loss is, and by which metrics it is judged. One file each."""
