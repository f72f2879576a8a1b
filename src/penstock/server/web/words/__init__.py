"""How numbers, things, states and evidence are told on every page."""
