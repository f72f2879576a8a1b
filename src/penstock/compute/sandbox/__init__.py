"""Runs Python code that nobody vouches for: without network, without secrets, without anything it could change."""
