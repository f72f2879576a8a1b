"""Models that runs logged: what MLflow's clients call logged models."""
