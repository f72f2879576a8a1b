"""Who may do what, and the ledger: the audit chain and the lineage graph. Knows things only as `Ref(kind, id)`."""
