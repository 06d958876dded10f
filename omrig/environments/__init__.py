"""Environments of Python of their own for what is measured: found, made, kept and removed."""
