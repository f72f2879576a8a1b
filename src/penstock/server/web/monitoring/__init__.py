"""What pages show of monitoring."""
