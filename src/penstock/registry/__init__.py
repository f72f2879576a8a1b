"""Models, versions, aliases, and the format of a model directory."""
