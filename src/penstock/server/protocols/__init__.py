"""Protocols that other tools' clients speak to this server."""
