"""What users write: connect, step, pipeline, log."""
