"""The object store: every byte penstock keeps, found by the digest of its content."""
