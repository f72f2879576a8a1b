"""Deployments that no gateway of ours serves: what is known of them, and how their predictions come in."""
