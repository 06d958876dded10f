"""The broker of a run: asked before the load, during it and after it, never by what is measured."""
