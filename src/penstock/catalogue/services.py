"""Every noun's service under its name, and the routes that lead to its verbs."""

from collections.abc import Callable
from dataclasses import dataclass

from penstock.core.routes import Route
from penstock.datasets import api as datasets_api
from penstock.datasets.service import DatasetService
from penstock.evaluation import api as evaluation_api
from penstock.evaluation.service import EvaluationService
from penstock.governance import api as governance_api
from penstock.governance.service import GovernanceService
from penstock.governance.tokens import api as tokens_api
from penstock.governance.tokens.service import TokenService
from penstock.governance.upkeep import api as upkeep_api
from penstock.governance.upkeep.service import UpkeepService
from penstock.loop import api as loop_api
from penstock.loop.service import LoopService
from penstock.monitoring import api as monitoring_api
from penstock.monitoring.external import api as external_api
from penstock.monitoring.external.service import ExternalService
from penstock.monitoring.incidents import api as incidents_api
from penstock.monitoring.incidents.service import IncidentService
from penstock.monitoring.service import MonitoringService
from penstock.pipelines import api as pipelines_api
from penstock.pipelines.service import PipelineService
from penstock.predictions import api as predictions_api
from penstock.predictions.service import PredictionService
from penstock.registry import api as registry_api
from penstock.registry.service import RegistryService
from penstock.registry.trust import api as trust_api
from penstock.registry.trust.service import TrustService
from penstock.serving import api as serving_api
from penstock.serving.service import ServingService
from penstock.storage.objects.object_store import ObjectStore
from penstock.tracking import api as tracking_api
from penstock.tracking.artifacts import api as artifacts_api
from penstock.tracking.artifacts.service import ArtifactService
from penstock.tracking.deliveries import api as deliveries_api
from penstock.tracking.deliveries.service import DeliveryService
from penstock.tracking.experiments import ExperimentService
from penstock.tracking.inputs import api as inputs_api
from penstock.tracking.inputs.service import InputService
from penstock.tracking.logged_models import api as logged_models_api
from penstock.tracking.logged_models.service import LoggedModelService
from penstock.tracking.service import TrackingService
from penstock.tracking.taking_over import TakingOverService
from penstock.tracking.traces import api as traces_api
from penstock.tracking.traces.service import TraceService

ROUTES: dict[str, list[Route]] = {
    "governance": governance_api.ROUTES,
    "tokens": tokens_api.ROUTES,
    "upkeep": upkeep_api.ROUTES,
    "experiments": tracking_api.EXPERIMENT_ROUTES,
    "tracking": tracking_api.ROUTES,
    "taking_over": tracking_api.TAKING_OVER_ROUTES,
    "deliveries": deliveries_api.ROUTES,
    "artifacts": artifacts_api.ROUTES,
    "logged_models": logged_models_api.ROUTES,
    "inputs": inputs_api.ROUTES,
    "traces": traces_api.ROUTES,
    "datasets": datasets_api.ROUTES,
    "registry": registry_api.ROUTES,
    "trust": trust_api.ROUTES,
    "predictions": predictions_api.ROUTES,
    "evaluation": evaluation_api.ROUTES,
    "pipelines": pipelines_api.ROUTES,
    "serving": serving_api.ROUTES,
    "monitoring": monitoring_api.ROUTES,
    "incidents": incidents_api.ROUTES,
    "external": external_api.ROUTES,
    "loop": loop_api.ROUTES,
}


@dataclass(frozen=True, kw_only=True)
class Services:
    """A whole penstock: in this process, or at the other end of an HTTP connection; the calls are the same.

    Attributes:
        objects: the object store; files, models and frames go in and out here, the services know their digests.
        place: the URL of the server, or the home folder of a penstock in this process.
        close: ends connections and finishes queued writes.
    """

    governance: GovernanceService
    tokens: TokenService
    upkeep: UpkeepService
    experiments: ExperimentService
    tracking: TrackingService
    taking_over: TakingOverService
    deliveries: DeliveryService
    artifacts: ArtifactService
    logged_models: LoggedModelService
    inputs: InputService
    traces: TraceService
    datasets: DatasetService
    registry: RegistryService
    trust: TrustService
    predictions: PredictionService
    evaluation: EvaluationService
    pipelines: PipelineService
    serving: ServingService
    monitoring: MonitoringService
    incidents: IncidentService
    external: ExternalService
    loop: LoopService
    objects: ObjectStore
    place: str
    close: Callable[[], None]
