"""The registry: models, their versions and aliases, as the protocol speaks of them."""
