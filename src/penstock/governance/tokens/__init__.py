"""Tokens: what a program or a person shows to a server, and the sessions of browsers that showed one."""
