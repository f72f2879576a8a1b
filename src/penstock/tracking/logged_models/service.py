"""The verbs of logged models."""

from penstock.core.errors import ConflictError, InvalidInputError, NotFoundError
from penstock.core.ids import ExperimentId, Ref, RunId, new_hex_id
from penstock.storage.database import Database
from penstock.storage.transaction import Transaction
from penstock.storage.verbs import adds, logs, reads
from penstock.tracking.experiments import ExperimentService
from penstock.tracking.locations import experiment_location
from penstock.tracking.logged_models.names import check_model_name, check_text
from penstock.tracking.logged_models.points import no_model
from penstock.tracking.logged_models.search import build_search
from penstock.tracking.logged_models.take_over_verbs import TakeOverVerbs
from penstock.tracking.logged_models.types import (
    DatasetFilter,
    LoggedModel,
    LoggedModelPage,
    LoggedModelStatus,
    ModelOrder,
)
from penstock.tracking.names import check_key, check_texts
from penstock.tracking.pages import read_offset

MESSAGE_LIMIT = 1_000  # characters
PAGE_LIMIT = 1_000


class LoggedModelService(TakeOverVerbs):
    """Models as runs log them, with what was measured of them; versions of registered models point at them."""

    noun = "logged_models"

    def __init__(self, db: Database) -> None:
        super().__init__(db)
        self._experiments = ExperimentService(db)

    @adds
    def create_logged_model(
        self,
        tx: Transaction,
        experiment_id: ExperimentId,
        name: str = "",
        model_type: str = "",
        source_run_id: str = "",
        params: dict[str, str] = {},  # noqa: B006  # read only
        tags: dict[str, str] = {},  # noqa: B006  # read only
    ) -> LoggedModel:
        """Announce a model whose files are uploaded next; `finish_logged_model` says how that went.

        Args:
            experiment_id: the experiment it belongs to.
            name: what people call it, not necessarily unique; made from its id when empty.
            model_type: free text, such as classifier.
            source_run_id: the run that made it; empty for none.
            params: never changed later.
            tags: free labels.

        Raises:
            ConflictError: the experiment is deleted.
        """
        home = self._experiments.get_active.join(tx, experiment_id)
        identity = f"m-{new_hex_id()}"
        model = LoggedModel(
            id=identity,
            experiment_id=home.id,
            name=check_model_name(name) if name else f"model-{identity[-6:]}",
            model_type=check_text(model_type, "model_type"),
            source_run_id=check_key(source_run_id, "source_run_id") if source_run_id else "",
            artifact_uri=f"{experiment_location(home.id, home.artifact_location)}/models/{identity}/artifacts",
            created_at=tx.now,
            updated_at=tx.now,
            created_by=tx.actor.name,
            params=check_texts(params, "params"),
            tags=check_texts(tags, "tags"),
        )
        self._store.add(tx, model)
        if source_run_id and self._runs.find_status(tx, RunId(source_run_id)) is not None:
            tx.link(Ref("run", source_run_id), model.ref, "logged")
        tx.record("logged_models.create_logged_model", model.ref, name=model.name, source_run_id=source_run_id)
        return self._store.fill(tx, [model])[0]

    @logs
    def finish_logged_model(
        self, tx: Transaction, model_id: str, status: LoggedModelStatus, message: str = ""
    ) -> LoggedModel:
        """Say how the upload of a model went."""
        model = self._get(tx, model_id)
        self._store.change(tx, model_id, status=status, status_message=check_text(message, "message", MESSAGE_LIMIT))
        if status is not model.status:
            tx.record("logged_models.finish_logged_model", model.ref, before=model.status, after=status)
        return self.get_logged_model.join(tx, model_id, with_deleted=True)

    @reads
    def get_logged_model(self, tx: Transaction, model_id: str, with_deleted: bool = False) -> LoggedModel:
        """A model with its parameters, tags and every point that was measured of it."""
        model = self._get(tx, model_id)
        if model.deleted_at is not None and not with_deleted:
            raise no_model(model_id)
        return self._store.fill(tx, [model])[0]

    @logs
    def delete_logged_model(self, tx: Transaction, model_id: str) -> None:
        """Delete a model: searches do not find it any more. Deleting it twice changes nothing."""
        model = self._get(tx, model_id)
        if model.deleted_at is None:
            self._store.change(tx, model_id, deleted_at=tx.now)
            tx.record("logged_models.delete_logged_model", model.ref, name=model.name)

    @logs
    def set_logged_model_tags(self, tx: Transaction, model_id: str, tags: dict[str, str]) -> None:
        """Set tags; those not named stay."""
        self._get(tx, model_id)
        self._store.set_tags(tx, model_id, check_texts(tags, "tags"))

    @logs
    def remove_logged_model_tag(self, tx: Transaction, model_id: str, key: str) -> None:
        """Forget a tag.

        Raises:
            NotFoundError: the model has no such tag.
        """
        model = self._get(tx, model_id)
        if not self._store.remove_tag(tx, model_id, key):
            raise NotFoundError(f"No tag with key {key[:250]!r} found for model with ID {model_id!r}")
        tx.record("logged_models.remove_logged_model_tag", model.ref, key=key)

    @logs
    def log_logged_model_params(self, tx: Transaction, model_id: str, params: dict[str, str]) -> None:
        """Add parameters.

        Raises:
            ConflictError: one of them is there already, with another value.
        """
        model = self._store.fill(tx, [self._get(tx, model_id)])[0]
        for key, value in check_texts(params, "params").items():
            before = model.params.get(key, value)
            if before != value:
                raise ConflictError(
                    f"parameter {key!r} of logged model {model_id} is {before[:200]!r} and cannot become "
                    f"{value[:200]!r}",
                    hint="parameters never change; log a new model, or use a tag",
                )
        self._store.add_params(tx, model_id, params)

    @reads
    def search_logged_models(
        self,
        tx: Transaction,
        experiment_ids: list[ExperimentId],
        filter: str = "",  # the protocol's word
        datasets: list[DatasetFilter] = [],  # noqa: B006  # read only
        order_by: list[ModelOrder] = [],  # noqa: B006  # read only
        limit: int = 100,
        after: str = "",
    ) -> LoggedModelPage:
        """Models that fit a filter such as `metrics.auc > 0.9 AND tags.team = 'risk'`, the newest first.

        Args:
            experiment_ids: whose models are searched, 1 to 1000.
            filter: clauses on attributes, `metrics.`, `params.` and `tags.`, joined by AND; empty for all. A metric
                fits when any of its points does.
            datasets: only measurements on one of these count.
            order_by: attributes or `metrics.KEY`, whose latest value counts; models without it come last.
            limit: how many at most, 1 to 1000.
            after: the `next` of the page before.

        Raises:
            InvalidInputError: the filter, the order or the page cannot be read.
        """
        if not 1 <= len(experiment_ids) <= PAGE_LIMIT or not 1 <= limit <= PAGE_LIMIT:
            raise InvalidInputError(
                f"{len(experiment_ids)} experiments, {limit} models a page: both are 1 to {PAGE_LIMIT}", field="limit"
            )
        offset = read_offset(after)
        query = build_search(experiment_ids, filter, datasets, order_by)
        found = self._store.search(tx, query, limit + 1, offset)
        models = tuple(self._store.fill(tx, found[:limit]))
        return LoggedModelPage(models, str(offset + limit) if len(found) > limit else "")

    def _get(self, tx: Transaction, model_id: str) -> LoggedModel:
        model = self._store.find(tx, model_id)
        if model is None:
            raise no_model(model_id)
        return model
