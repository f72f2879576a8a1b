"""Options that many commands have."""

import typer

JsonOption = typer.Option(False, "--json", help="Print JSON instead of a table.")
UrlOption = typer.Option("", "--url", help="A server to ask; the project around the working directory if not given.")
HomeOption = typer.Option(None, "--home", help="The home folder of a server on this machine, whether it runs or not.")
