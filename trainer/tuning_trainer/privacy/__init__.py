"""Differentially private training. opacus is imported only where it is asked for."""
