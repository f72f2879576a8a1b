"""Data in a folder of one's own: added, compared and checked out by its path, as Git does with code."""
