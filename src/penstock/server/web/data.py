"""The pages of datasets: versions with their schema, profile and checks, and what changed between two."""

from starlette.requests import Request
from starlette.responses import Response

from penstock.server.web.context import PageContext


def list_datasets(context: PageContext, request: Request) -> Response:
    """Every dataset with its newest versions."""
    datasets = context.services.datasets
    rows = [(found, datasets.list_versions(found.name, 10)) for found in datasets.list_datasets()]
    return context.renderer.page(request, "data.html", title="Data", rows=rows)


def show_version(context: PageContext, request: Request) -> Response:
    """One version: where it came from, what its columns look like, what its checks found."""
    name, number = request.path_params["dataset"], request.path_params["version"]
    datasets = context.services.datasets
    version = datasets.get_version(name, number)
    reports = [report for report in datasets.list_check_reports(name) if report.version == number]
    versions = datasets.list_versions(name, 12)[::-1]
    return context.renderer.page(
        request,
        "dataset.html",
        title=f"{name} version {number}",
        version=version,
        report=reports[0] if reports else None,
        versions=versions,
    )
