"""Incidents: what alerts and other signals are about, who knows of it, and what was sent to whom."""
