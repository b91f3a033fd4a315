"""Authenticated encryption of what a trial leaves on disk. Used only where a key file is set."""
