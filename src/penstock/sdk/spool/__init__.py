"""The local spool: what a run logs is on this machine's disk when the call returns, and is delivered by a thread."""
