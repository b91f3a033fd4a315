"""What a trial leaves in its checkpoint directory: files that appear whole or not at all, encrypted by choice."""
