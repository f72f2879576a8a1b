"""The model directory: MLflow layout, safe formats only, golden predictions."""
