"""DVC: its projects become versions, and versions become what an unmodified DVC checks out and pulls."""
