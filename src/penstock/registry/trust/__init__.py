"""Who vouches for a model: decisions to run its code, signatures of its files, and the keys these are checked with."""
