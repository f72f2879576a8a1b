"""What changed between two versions: files, columns, rows, and how the values of each column are spread."""
