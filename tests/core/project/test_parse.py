"""The project file: what it becomes, and how its mistakes are told."""

from datetime import timedelta
from pathlib import Path

import pytest

from penstock.core.errors import NotFoundError
from penstock.core.project.mistakes import ProjectFileError
from penstock.core.project.parse import load_project, parse_project
from penstock.core.project.rates import Rate
from penstock.core.project.types import (
    ApprovalGate,
    ChampionGate,
    CheckSection,
    FairnessGate,
    LatencyGate,
    MetricGate,
    PerformanceSection,
    Project,
    RobustnessGate,
)

HERE = Path(__file__).parent
WHOLE = """\
[project]
name = "readmission"
task = "binary"                    # binary, multiclass, regression, ranking, forecast
owner = "cardiology-analytics"

[charter]                          # stage 1; gates may refer to these numbers
goal = "Flag discharges likely to return within 30 days"
metric = "roc_auc"
target = 0.68
intended_use = ["discharge-planning"]
risk = "high"

[data.encounters]
source = "data/encounters.parquet" # file, glob, object-store URL, or SQL query with a connection name
time = "admitted_at"
key = "encounter_id"
label = "readmitted"
sensitive = ["race", "gender", "age_group"]      # for slices and fairness; not features unless asked
mask = { patient_nbr = "hash", postcode = "truncate:3" }

[[data.encounters.check]]
column = "time_in_hospital"
between = [1, 14]

[pipeline]
entry = "pipeline:train"
params = { learning_rate = 0.1 }

[[gate]]
kind = "metric"
metric = "roc_auc"
at_least = 0.64
[[gate]]
kind = "metric"
metric = "roc_auc"
at_least = "charter"
[[gate]]
kind = "champion"
metric = "roc_auc"
no_worse_than = "champion"         # paired test on the same rows; a tie is called a tie
margin = 0.005
[[gate]]
kind = "fairness"
measure = "equalized_odds_difference"
by = "race"
at_most = 0.10
[[gate]]
kind = "robustness"
test = "missing_values"
max_drop = 0.03
[[gate]]
kind = "latency"
p99_ms = 20
[[gate]]
kind = "approval"
by = "clinical-lead"         # someone other than whoever trained it

[deploy]
strategy = "canary"                # direct, shadow, canary, ab
steps = [0.05, 0.25, 1.0]
guard = { error_rate = 0.01, latency_p99_ms = 50 }

[monitor]
window = "1d"
false_alarms = "1 per 90d"         # the budget; the tests are chosen and corrected to keep it
performance = { metric = "roc_auc", at_least = 0.62 }

[retrain]
when = ["drift", "performance", "new_data", "0 3 * * 1"]
window = "180d"
cooldown = "6h"
"""


def parse(text: str, environment: str = "") -> Project:
    return parse_project(text, root=Path("/somewhere"), environment=environment)


def mistakes(text: str) -> list[str]:
    with pytest.raises(ProjectFileError) as caught:
        parse(text)
    return [f"{mistake.line}: {mistake}" for mistake in caught.value.mistakes]


def test_every_section_becomes_its_record() -> None:
    project = parse(WHOLE)
    assert (project.name, project.task, project.project.owner) == ("readmission", "binary", "cardiology-analytics")
    assert project.charter.target == 0.68
    encounters = project.data["encounters"]
    assert encounters.mask == {"patient_nbr": "hash", "postcode": "truncate:3"}
    assert encounters.checks == (CheckSection(column="time_in_hospital", between=(1, 14)),)
    assert project.pipeline.params == {"learning_rate": 0.1}
    assert project.gates == (
        MetricGate(metric="roc_auc", at_least=0.64),
        MetricGate(metric="roc_auc", at_least=0.68),
        ChampionGate(metric="roc_auc", margin=0.005),
        FairnessGate(measure="equalized_odds_difference", by="race", at_most=0.1),
        RobustnessGate(test="missing_values", max_drop=0.03),
        LatencyGate(p99_ms=20),
        ApprovalGate(by="clinical-lead"),
    )
    assert project.deploy.guard.latency_p99_ms == 50
    assert project.monitor.false_alarms == Rate(1, timedelta(days=90))
    assert project.monitor.performance == PerformanceSection(metric="roc_auc", at_least=0.62)
    assert project.retrain.window == timedelta(days=180)
    assert project.retrain.when[-1] == "0 3 * * 1"


def test_two_keys_are_enough() -> None:
    project = parse('[project]\nname = "a"\ntask = "ranking"\n')
    assert project.pipeline.entry == "pipeline:train"
    assert project.deploy.steps is None
    assert project.retrain.budget == Rate(10, timedelta(days=90))


def test_all_mistakes_are_told_at_once_with_line_key_and_way_out() -> None:
    with pytest.raises(ProjectFileError) as caught:
        load_project(HERE / "broken.toml")
    assert f"{caught.value}\n" == (HERE / "broken.txt").read_text()


def test_a_missing_section_is_one_mistake() -> None:
    assert mistakes("") == ["1: project: this key has to be there and is not"]


def test_a_metric_of_another_task_is_refused() -> None:
    text = (
        '[project]\nname = "a"\ntask = "ranking"\n[[gate]]\nkind = "metric"\nmetric = "recal_at_20"\nat_least = 0.1\n'
    )
    assert mistakes(text) == [
        "6: gate[0].metric: 'recal_at_20' is no metric of a ranking task; did you mean 'recall_at_20'?"
    ]
    assert parse(text.replace("recal_at_20", "ndcg_at_5")).gates


@pytest.mark.parametrize(
    ("watched", "told"),
    [
        ("", "deploy.margins.metric: no metric is watched that could be compared; add monitor.performance"),
        ('[monitor]\nperformance = { metric = "f1" }', "deploy.margins.metric: revisions cannot be compared by 'f1'"),
    ],
)
def test_a_margin_of_a_metric_needs_one_that_revisions_can_be_compared_by(watched: str, told: str) -> None:
    text = '[project]\nname = "a"\ntask = "binary"\n[deploy]\nmargins = { metric = 0.02 }\n'
    (told_by_file,) = mistakes(text + watched)
    assert told in told_by_file
    assert parse(text + '[monitor]\nperformance = { metric = "roc_auc" }').deploy.margins.metric == 0.02


def test_a_line_that_is_no_toml_is_told_with_the_other_mistakes() -> None:
    text = '[project]\nname = "a\ntask = 3\n'
    assert mistakes(text) == [
        """2: illegal character '\\n' in 'name = "a'""",
        "3: project.task: 3 is not one of binary, multiclass, regression, ranking, forecast",
    ]


def test_a_key_given_twice_is_told_with_the_line_of_the_second() -> None:
    assert mistakes('[project]\nname = "a"\ntask = "binary"\nname = "b"\n') == [
        """4: cannot overwrite a value in 'name = "b"'"""
    ]


def test_an_environment_replaces_single_keys() -> None:
    text = WHOLE + '[storage]\nobjects = "here"\n[env.staging.storage]\ndatabase = "postgresql://db/x"\n'
    assert parse(text).storage.database is None
    staging = parse(text, "staging").storage
    assert (staging.database, staging.objects) == ("postgresql://db/x", "here")


def test_a_mistake_in_any_environment_is_told_with_its_own_line() -> None:
    text = '[project]\nname = "a"\ntask = "binary"\n[env.staging]\ndeploy = { steps = [0.5] }\n'
    assert mistakes(text) == ["5: deploy.steps: shares of traffic have to rise from above 0 and end with 1.0"]


def test_an_unknown_environment_is_named() -> None:
    with pytest.raises(ProjectFileError, match=r"known here: staging"):
        parse(WHOLE + "[env.staging]\n", "production")


def test_a_missing_file_says_how_to_write_one(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="penstock init"):
        load_project(tmp_path)


def test_the_root_is_the_folder_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "penstock.toml").write_text(WHOLE)
    assert load_project(tmp_path).root == tmp_path.resolve()
    assert load_project(tmp_path / "penstock.toml") == load_project(tmp_path)


def test_bytes_that_are_no_text_are_told_with_their_line(tmp_path: Path) -> None:
    (tmp_path / "penstock.toml").write_bytes(b"[project]\nname = '\xff'\n")
    with pytest.raises(ProjectFileError, match=r"penstock.toml:2: the file is not UTF-8 text"):
        load_project(tmp_path)


@pytest.mark.parametrize(
    ("deploy", "told"),
    [
        ('strategy = "ab"', "deploy.strategy: an A/B test needs a key"),
        ('strategy = "ab"\nkey = "user"\nshare = 1.0', "deploy.share: an A/B test gives each side a share"),
        ('strategy = "shade"', "deploy.strategy: "),
        ('rules = { pin = ["a", "a"] }', "deploy.rules.pin: an item stands there twice"),
        ('rules = { pin = ["a"], block = ["a"] }', "deploy.rules.pin: 'a' stands in block too"),
        (
            'rules = { bury = ["a", { price = {} }] }',
            "deploy.rules.bury[1]: the bounds of 'price' are some of at_least",
        ),
        ("rules = { block = [7] }", "deploy.rules.block"),
        ('rules = { at_most_per = { column = "brand" } }', "deploy.rules.at_most_per.count: this key has to be there"),
        ('rules = { at_most_per = { column = "brand", count = 0 } }', "deploy.rules.at_most_per.count: "),
    ],
)
def test_mistakes_in_how_to_deploy_are_named(deploy: str, told: str) -> None:
    (mistake,) = mistakes(f'[project]\nname = "a"\ntask = "ranking"\n[deploy]\n{deploy}\n')
    assert told in mistake


def test_rules_for_lists_need_lists() -> None:
    text = '[project]\nname = "a"\ntask = "TASK"\n[deploy.rules]\npin = ["gift"]\n'
    assert parse(text.replace("TASK", "ranking")).deploy.rules.pin == ("gift",)
    (mistake,) = mistakes(text.replace("TASK", "binary"))
    assert "deploy.rules: a model of the task 'binary' shows no lists of items" in mistake


@pytest.mark.parametrize(
    ("retrain", "told"),
    [
        ('strategy = "sliding"', "a sliding strategy needs a window"),
        ('strategy = "weighted"', "a weighted strategy needs a window"),
        ('strategy = "growing"\nwindow = "9d"', "so a window says nothing"),
        ('strategy = "slidng"', "sliding"),
    ],
)
def test_a_strategy_and_a_window_have_to_fit(tmp_path: Path, retrain: str, told: str) -> None:
    (tmp_path / "penstock.toml").write_text(f'[project]\nname = "a"\ntask = "binary"\n\n[retrain]\n{retrain}\n')
    with pytest.raises(ProjectFileError, match=told):
        load_project(tmp_path / "penstock.toml")
