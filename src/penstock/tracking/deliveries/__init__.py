"""What clients' spools deliver: records in their order, each applied exactly once."""
