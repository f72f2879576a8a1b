"""Whether a retrain of a live model would help: cheap challengers are tried on what came in since."""
