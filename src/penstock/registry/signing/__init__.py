"""Signatures of model directories in the layout of OpenSSF's model signing, made and checked with keys kept here."""
