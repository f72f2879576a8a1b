"""Results of steps as bytes in the object store; each kind of value has a file, imported only when it is met."""
