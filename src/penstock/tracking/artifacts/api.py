"""The routes of artifacts."""

from penstock.core.identity import Role
from penstock.core.routes import Route
from penstock.tracking.artifacts.service import ArtifactService

ROUTES = [
    Route("GET", "/runs/{run_id}/artifacts", ArtifactService.list_artifacts, needs=Role.READER),
    Route("GET", "/runs/{run_id}/artifacts/{path:path}", ArtifactService.get_artifact, needs=Role.READER),
    Route("PUT", "/runs/{run_id}/artifacts/{path:path}", ArtifactService.log_artifact, needs=Role.CONTRIBUTOR),
    Route("GET", "/artifact-files/{home}", ArtifactService.list_files, needs=Role.READER),
    Route("GET", "/artifacts/{home}", ArtifactService.list_folder, needs=Role.READER),
    Route("DELETE", "/artifacts/{home}", ArtifactService.delete_artifacts, needs=Role.CONTRIBUTOR),
    Route("GET", "/artifacts/{home}/{path:path}", ArtifactService.get_file, needs=Role.READER),
    Route("PUT", "/artifacts/{home}/{path:path}", ArtifactService.log_file, needs=Role.CONTRIBUTOR),
]
