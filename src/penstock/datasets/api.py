"""The routes of datasets."""

from penstock.core.identity import Role
from penstock.core.routes import Route
from penstock.datasets.service import DatasetService

ROUTES = [
    Route("GET", "/datasets", DatasetService.list_datasets, needs=Role.READER),
    Route("POST", "/datasets/{dataset}/versions", DatasetService.record_version, needs=Role.CONTRIBUTOR),
    Route("POST", "/datasets/{dataset}/files", DatasetService.record_files, needs=Role.CONTRIBUTOR),
    Route("GET", "/datasets/{dataset}/versions", DatasetService.list_versions, needs=Role.READER),
    Route("GET", "/datasets/{dataset}", DatasetService.get_version, needs=Role.READER),
    Route("GET", "/datasets/{dataset}/latest", DatasetService.find_latest, needs=Role.READER),
    Route("POST", "/datasets/{dataset}/check-reports", DatasetService.record_check_report, needs=Role.CONTRIBUTOR),
    Route("GET", "/datasets/{dataset}/check-reports", DatasetService.list_check_reports, needs=Role.READER),
    Route("GET", "/datasets/{dataset}/check-reports/latest", DatasetService.latest_checks, needs=Role.READER),
    Route("GET", "/datasets/{dataset}/quality", DatasetService.list_quality, needs=Role.READER),
    Route("POST", "/datasets/{dataset}/splits/{name}", DatasetService.record_split, needs=Role.CONTRIBUTOR),
    Route("GET", "/datasets/{dataset}/splits/{name}", DatasetService.get_split, needs=Role.READER),
    Route("GET", "/datasets/{dataset}/splits", DatasetService.list_splits, needs=Role.READER),
]
