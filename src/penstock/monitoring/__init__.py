"""Windows, drift, performance, alerts: what the live model sees and how well it does."""
