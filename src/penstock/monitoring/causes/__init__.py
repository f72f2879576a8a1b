"""Why performance dropped: faults of the data, inputs that moved, or a truth that is another now."""
