"""Where everything is kept: the database with its one writer, and the object store."""
