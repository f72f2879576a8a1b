"""Folders on this machine: read into the object store, compared with what is kept, written out again."""
