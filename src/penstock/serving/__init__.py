"""What answers predictions: deployments and their rollouts, and the gateway that routes between revisions."""
