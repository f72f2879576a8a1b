"""The project file: `penstock.toml` as typed records, and every mistake in it with its line."""
