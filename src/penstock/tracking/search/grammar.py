"""What may stand in the filters and orders of runs and of experiments."""

from penstock.core.filters import (
    IDENTIFIER,
    LISTED_TEXT,
    NUMBER,
    OPTIONAL_TEXT,
    TEXT,
    Entity,
    Field,
    Grammar,
)

METRIC, PARAM, TAG, ATTRIBUTE, DATASET = "metric", "param", "tag", "attribute", "dataset"
NAME_TAG = "mlflow.runName"  # clients know a run's name as this tag as well; it is kept once, as the name
_ATTRIBUTE_SPELLINGS = ("attributes", "attr", "run")
_DATASET_FIELD = Field(False, LISTED_TEXT.comparators, is_orderable=False)

RUNS = Grammar(
    (
        Entity(METRIC, ("metrics",), any_key=NUMBER),
        Entity(PARAM, ("params", "parameter", "parameters"), any_key=OPTIONAL_TEXT),
        Entity(TAG, ("tags",), any_key=OPTIONAL_TEXT),
        Entity(
            ATTRIBUTE,
            _ATTRIBUTE_SPELLINGS,
            keys={
                "run_id": LISTED_TEXT,
                "run_name": TEXT,
                "status": TEXT,
                "user_id": TEXT,
                "artifact_uri": TEXT,
                "start_time": NUMBER,
                "end_time": NUMBER,
            },
            aliases={
                "created": "start_time",
                "Created": "start_time",
                "run name": "run_name",
                "Run name": "run_name",
                "Run Name": "run_name",
            },
        ),
        Entity(
            DATASET, ("datasets",), keys={"name": _DATASET_FIELD, "digest": _DATASET_FIELD, "context": _DATASET_FIELD}
        ),
    ),
    default=ATTRIBUTE,
)

EXPERIMENTS = Grammar(
    (
        Entity(
            ATTRIBUTE,
            _ATTRIBUTE_SPELLINGS[:2],
            keys={"name": TEXT, "experiment_id": IDENTIFIER, "creation_time": NUMBER, "last_update_time": NUMBER},
        ),
        Entity(TAG, ("tags",), any_key=Field(False, OPTIONAL_TEXT.comparators, is_orderable=False)),
    ),
    default=ATTRIBUTE,
)
