"""A history: what a load came to with one version after the other, and where that changed."""
