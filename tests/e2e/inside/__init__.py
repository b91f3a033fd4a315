"""Scripts that run inside the trainer's image, by its own Python."""
