"""The seven stages of a project, read from what its services hold."""

from dataclasses import fields
from pathlib import Path

import pytest

from penstock.catalogue.lifecycle import Lifecycle, read_lifecycle
from penstock.catalogue.services import Services
from penstock.evaluation.evaluate import load_evaluation
from penstock.evaluation.gates import judge
from penstock.governance.service import GovernanceService
from penstock.governance.tokens.service import TokenService
from penstock.governance.upkeep.service import UpkeepService
from penstock.monitoring.external.service import ExternalService
from penstock.registry.types import ModelVersion
from penstock.tracking.deliveries.service import DeliveryService
from penstock.tracking.experiments import ExperimentService
from penstock.tracking.inputs.service import InputService
from penstock.tracking.logged_models.service import LoggedModelService
from penstock.tracking.taking_over import TakingOverService
from penstock.tracking.traces.service import TraceService
from shop_world import DAY, START, Shop


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def look(shop: Shop) -> Lifecycle:
    held = {field.name: getattr(shop.services, field.name) for field in fields(shop.services)}
    services = Services(
        governance=GovernanceService(shop.db),
        tokens=TokenService(shop.db),
        upkeep=UpkeepService(shop.db),
        deliveries=DeliveryService(shop.db, shop.services.tracking, shop.services.artifacts),
        place=str(shop.folder),
        experiments=ExperimentService(shop.db),
        logged_models=LoggedModelService(shop.db),
        inputs=InputService(shop.db),
        traces=TraceService(shop.db),
        taking_over=TakingOverService(shop.db),
        external=ExternalService(shop.db, shop.services.serving),
        close=shop.db.close,
        **held,
    )
    return read_lifecycle(services, shop.project)


def judge_version(shop: Shop, version: ModelVersion, gates: bool) -> None:
    assert version.report_id is not None
    found = load_evaluation(shop.services.evaluation.get_report(version.report_id), shop.services.objects.get_bytes)
    shop.services.evaluation.record_verdict(judge(shop.project.gates if gates else (), found))


def test_a_project_without_anything_says_what_to_do_first(shop: Shop) -> None:
    found = look(shop)
    assert [stage.number for stage in found.stages] == [1, 2, 3, 4, 5, 6, 7]
    assert found.holding == 0
    assert "penstock run" in found.stages[3].evidence


def test_a_released_model_that_is_watched_holds_the_later_stages(shop: Shop) -> None:
    shop.release()
    shop.request(START, 30)
    shop.request(START + DAY, 1)
    training, errors, deployment = look(shop).stages[3:6]
    assert training.holds and training.link == "/models/shop/1"
    assert errors.holds
    assert deployment.holds and "version 1 answers" in deployment.evidence


def test_before_a_window_closes_what_it_waits_for_is_told(shop: Shop) -> None:
    shop.release()
    assert look(shop).stages[6].evidence == "no prediction yet; each 24 h of them is a window"
    shop.request(START, 30)
    assert look(shop).stages[6].evidence == "30 predictions; the first window of 24 h closes when a later one comes"


def test_of_several_verdicts_the_newest_is_told(shop: Shop) -> None:
    version = shop.release()
    judge_version(shop, version, gates=False)
    shop.clock.advance(seconds=1)
    judge_version(shop, version, gates=True)
    assert "The gate passed" in look(shop).stages[4].evidence


def test_a_project_is_found_among_many_models(shop: Shop) -> None:
    run_id = shop.release().run_id
    assert run_id is not None
    record = shop.services.pipelines.get_run(run_id).candidate
    assert record is not None
    for number in range(101):
        shop.services.registry.register(f"a{number:03}", None, record.model, record.info)
    assert look(shop).stages[3].holds
