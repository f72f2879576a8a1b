"""Versions read where they are kept: files by range, tables lazily and in batches, nothing checked out."""
