"""The pages of deployments and their rollouts, and the form that asks for a prediction."""
