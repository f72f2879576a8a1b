"""The configuration comes from defaults, the environment and arguments, the later ones first."""

from pathlib import Path

import pytest

from penstock.core.config import Config, load_config
from penstock.core.errors import InvalidInputError


def test_a_config_alone_works() -> None:
    config = Config()
    assert config.database_url == "sqlite:///.penstock/penstock.db"
    assert config.objects_url == ".penstock/objects"
    assert (config.url, config.gateway_url) == ("http://127.0.0.1:5151", "http://127.0.0.1:5152")


def test_what_is_given_goes_before_the_environment() -> None:
    config = load_config({"PENSTOCK_PORT": "7000", "PENSTOCK_HOST": "::1", "PENSTOCK_TOKEN": ""}, port=8000, host=None)
    assert (config.port, config.host, config.token) == (8000, "::1", "")


def test_the_home_folder_is_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_config({"PENSTOCK_HOME": "state"}).home == tmp_path / "state"


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("::1", "http://[::1]:5151"),
        ("0.0.0.0", "http://127.0.0.1:5151"),
        ("::", "http://[::1]:5151"),
        ("ml.example", "http://ml.example:5151"),
    ],
)
def test_the_url_leads_to_the_address_that_is_listened_on(host: str, url: str) -> None:
    assert Config(host=host).url == url


def test_a_setting_of_the_wrong_type_is_named() -> None:
    with pytest.raises(InvalidInputError, match="port") as refusal:
        load_config({"PENSTOCK_PORT": "many"})
    assert refusal.value.field == "port"
