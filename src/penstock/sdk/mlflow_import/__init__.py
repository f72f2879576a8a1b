"""Taking over what an MLflow server, folder or database holds."""
