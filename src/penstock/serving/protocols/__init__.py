"""The ways in which the gateway is spoken to: each reads a request and writes an answer or a refusal."""
