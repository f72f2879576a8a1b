"""Objects that move between two stores."""
