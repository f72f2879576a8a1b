"""MLflow's REST protocol: an unmodified MLflow client works against this server."""
