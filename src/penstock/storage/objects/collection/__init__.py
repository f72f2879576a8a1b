"""Collecting what nothing needs any more, safe beside those who write."""
