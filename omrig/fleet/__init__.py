"""A run over several hosts: members on the workers of a cluster, started, heard and collected."""
