"""`penstock models list`: every model."""

from penstock.cli.apps import command_app
from penstock.cli.models.tags import join_tags
from penstock.cli.options import JsonOption, UrlOption
from penstock.cli.output import print_json, print_table
from penstock.cli.session import open_services

app = command_app()


@app.command()
def list_models(json: bool = JsonOption, url: str = UrlOption) -> None:
    """Every model with its newest version, its aliases and tags."""
    with open_services(url) as services:
        models = services.registry.list_models(limit=1_000)
        aliases = {model.name: services.registry.list_aliases(model.name) for model in models}
    if json:
        print_json([{"model": model, "aliases": aliases[model.name]} for model in models])
        return
    rows = [
        (
            model.name,
            model.latest_version,
            ", ".join(f"{a.alias} = {a.version}" for a in aliases[model.name]),
            join_tags(model.tags),
            model.description,
        )
        for model in models
    ]
    print_table(
        ["model", ">versions", "aliases", "tags", "description"],
        rows,
        empty="No model yet; 'penstock run' registers one.",
    )
