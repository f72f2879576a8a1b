"""The pages of models and their versions."""
