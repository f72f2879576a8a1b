"""Upkeep of the object store: what keeps its objects alive, whose store it is, and who collects what is left."""
