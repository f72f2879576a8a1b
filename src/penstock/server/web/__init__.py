"""The web pages: rendered on the server, live by server-sent events, usable without a mouse."""
