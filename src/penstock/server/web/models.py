"""The pages of models: all versions, and one with its verdict, metrics, slices and lineage."""

from starlette.requests import Request
from starlette.responses import Response

from penstock.server.web.context import PageContext


def list_models(context: PageContext, request: Request) -> Response:
    """Every model with its versions and aliases."""
    registry = context.services.registry
    rows = [
        (model, registry.list_versions(model.name), _aliases(context, model.name)) for model in registry.list_models()
    ]
    return context.renderer.page(request, "models.html", title="Models", rows=rows)


def show_version(context: PageContext, request: Request) -> Response:
    """One version: how it was judged, how good it is and where, and what it came from."""
    services = context.services
    name, number = request.path_params["model"], request.path_params["version"]
    version = services.registry.get_version(name, number)
    report = services.evaluation.get_report(version.report_id) if version.report_id else None
    verdicts = services.evaluation.list_verdicts(report.id) if report else []
    return context.renderer.page(
        request,
        "model.html",
        title=f"{name} version {number}",
        version=version,
        aliases=_aliases(context, name).get(number, []),
        report=report,
        verdict=verdicts[-1] if verdicts else None,
        history=services.registry.alias_history(name),
        up=services.governance.trace_lineage(str(version.ref), "up"),
        down=services.governance.trace_lineage(str(version.ref), "down"),
    )


def _aliases(context: PageContext, model: str) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for alias in context.services.registry.list_aliases(model):
        found.setdefault(alias.version, []).append(alias.alias)
    return found
