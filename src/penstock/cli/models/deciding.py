"""What `penstock models trust` and `distrust` have in common: somebody's word about the code of a model."""

import typer

from penstock.cli.models.target import find_target
from penstock.cli.output import print_json
from penstock.cli.session import open_nearby


def decide(target: str, model: str, reason: str, url: str, told: str, *, trusted: bool, json: bool) -> None:
    """Write the decision down and tell of it.

    Args:
        target: what it is about, as `find_target` says.
        model: of a version; empty: the project's own.
        reason: for the record.
        url: of the server.
        told: the line that tells of it, with a place for the name of the model.
        trusted: whether the code may run.
        json: whether the decision itself is printed.
    """
    with open_nearby(url, may_be_new=True) as services:
        found = find_target(services, target, model)
        take = services.trust.trust if trusted else services.trust.distrust
        decision = take(found.tree, reason)
    if json:
        print_json(decision)
        return
    typer.echo(told.format(found.name))
