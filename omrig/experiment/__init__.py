"""Experiments: several configurations measured in rounds, and what may be said of them."""
