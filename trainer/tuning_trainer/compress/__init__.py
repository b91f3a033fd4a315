"""Compression: masks, fewer channels, fewer bits, a teacher; and the stages that put them into a training."""
