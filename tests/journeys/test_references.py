"""Whatever a project's database mentions after a whole run, it refers to, so that no collection takes it away."""

import pytest

from governance.upkeep.mentions import list_mentions, reachable
from journeys.own_project import OwnProject
from penstock.sdk.connect import connect

pytestmark = pytest.mark.slow


def test_a_collection_takes_nothing_that_a_run_needs(trained: OwnProject) -> None:
    services = connect(trained.folder)
    db = services.datasets.db
    mentions = list(list_mentions(db, services.objects))
    assert {"pipeline_steps", "dataset_versions", "model_versions", "revisions"} <= {table for table, _, _ in mentions}
    kept = reachable(db, services.objects)
    services.close()
    assert [mention for mention in mentions if mention[2] not in kept] == []
    trained.run("gc", "--grace", "0")
    services = connect(trained.folder)
    assert all(services.objects.has(digest) for _, _, digest in mentions)
    services.close()
    trained.run("verify")
