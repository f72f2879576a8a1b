"""What keeps writers and a collector out of each other's way: what is condemned, and who is at work."""
