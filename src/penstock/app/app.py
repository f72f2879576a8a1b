"""The one place that builds the services."""

from functools import partial

from penstock.app.database import open_database
from penstock.catalogue.services import Services
from penstock.core.clock import Clock
from penstock.core.config import Config
from penstock.core.identity import Actor
from penstock.datasets.service import DatasetService
from penstock.evaluation.service import EvaluationService
from penstock.governance.checkpoints import CheckpointLog
from penstock.governance.service import GovernanceService
from penstock.governance.tokens.service import TokenService
from penstock.governance.upkeep.service import UpkeepService
from penstock.loop.service import LoopService
from penstock.monitoring.external.service import ExternalService
from penstock.monitoring.incidents.service import IncidentService
from penstock.monitoring.service import MonitoringService
from penstock.pipelines.service import PipelineService
from penstock.predictions.service import PredictionService
from penstock.registry.service import RegistryService
from penstock.registry.trust.service import TrustService
from penstock.registry.trust.signer import OwnSigner
from penstock.serving.service import ServingService
from penstock.storage.database import Database
from penstock.storage.objects.object_store import ObjectStore
from penstock.storage.objects.open import open_object_store
from penstock.tracking.artifacts.service import ArtifactService
from penstock.tracking.deliveries.service import DeliveryService
from penstock.tracking.experiments import ExperimentService
from penstock.tracking.inputs.service import InputService
from penstock.tracking.logged_models.service import LoggedModelService
from penstock.tracking.service import TrackingService
from penstock.tracking.taking_over import TakingOverService
from penstock.tracking.traces.service import TraceService

CHECKPOINT_EVERY_S = 0.1  # a signature costs more than a small write


def open_app(config: Config, *, clock: Clock | None = None, actor: Actor | None = None) -> Services:
    """Open the database and the object store of a configuration, and build every service on them.

    Raises:
        ConflictError: the database was written by a newer penstock.
        InvalidInputError: the configuration names no database or object store that can be opened.
        CorruptDataError: the database is damaged, or is none.
        UnavailableError: the database cannot be opened just now.
    """
    db, checkpoints = open_database(config, clock=clock, actor=actor, checkpoint_every_s=CHECKPOINT_EVERY_S)
    try:
        return _build(config, db, checkpoints)
    except BaseException:
        db.close()
        raise


def _build(config: Config, db: Database, checkpoints: CheckpointLog) -> Services:
    governance = GovernanceService(db, checkpoints)
    tracking = TrackingService(db)
    artifacts = ArtifactService(db)
    registry = RegistryService(db)
    objects = open_object_store(config.objects_url)
    trust = TrustService(db, registry, objects, config.demanded_signers)
    signer = OwnSigner(db, registry, trust, objects, config.home)
    predictions = PredictionService(db)
    pipelines = PipelineService(db, tracking)
    serving = ServingService(db, registry)
    monitoring = MonitoringService(db)
    loop = LoopService(
        db,
        governance=governance,
        predictions=predictions,
        pipelines=pipelines,
        serving=serving,
        monitoring=monitoring,
    )
    return Services(
        governance=governance,
        tokens=TokenService(db),
        upkeep=UpkeepService(db),
        experiments=ExperimentService(db),
        tracking=tracking,
        taking_over=TakingOverService(db),
        deliveries=DeliveryService(db, tracking, artifacts),
        artifacts=artifacts,
        logged_models=LoggedModelService(db),
        inputs=InputService(db),
        traces=TraceService(db),
        datasets=DatasetService(db),
        registry=registry,
        trust=trust,
        predictions=predictions,
        evaluation=EvaluationService(db),
        pipelines=pipelines,
        serving=serving,
        monitoring=monitoring,
        incidents=IncidentService(db, monitoring, predictions),
        external=ExternalService(db, serving),
        loop=loop,
        objects=objects,
        place=str(config.home),
        close=partial(_close, db, checkpoints, signer, objects),
    )


def _close(db: Database, checkpoints: CheckpointLog, signer: OwnSigner, objects: ObjectStore) -> None:
    signer.close()
    db.close()
    checkpoints.flush()
    objects.end_writing()
