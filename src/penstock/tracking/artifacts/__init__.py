"""Files that runs, logged models and the server itself keep, by their paths."""
