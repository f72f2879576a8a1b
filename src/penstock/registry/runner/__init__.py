"""Models in processes of their own: those that execute code, and those that need other packages than are here."""
