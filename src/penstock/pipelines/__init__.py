"""Steps, pipelines, their graph, and the worker that runs them."""
