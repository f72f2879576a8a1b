"""The form that tries a deployment: an input for each column, the gateway's own answer, and nobody else's address."""

import json
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import httpx
import pytest
from msgspec import structs

from penstock.registry.format.types import Column
from penstock.server.app import build_server
from penstock.server.web.deployments.trying import read_row
from server.reading import Page, open_page
from server.trying_world import OWNER, Trying, open_trying
from serving_http import serve

PAGE = "/deployments/taste/try"
ROW = {
    "column:user": "u9",
    "column:visits": "2",
    "column:spent": "",
    "column:member": "false",
    "column:since": "2026-03-04",
    "column:seen": "2026-03-04T05:06",
    "column:<b>odd</b>": "<i>",
}


@pytest.fixture(scope="module")
def trying(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trying]:
    with open_trying(tmp_path_factory.mktemp("trying")) as trying:
        yield trying


def inputs(page: httpx.Response) -> dict[str, dict[str, str]]:
    """The inputs and choices of the form by name."""
    elements = Page(page.text).elements
    return {held["name"]: held for tag, held in elements if tag in ("input", "select") and "name" in held}


def test_each_column_has_an_input_of_its_type_filled_with_a_row_that_is_known(trying: Trying) -> None:
    page = open_page(trying.url + PAGE)
    found = inputs(page)
    assert found.keys() == ROW.keys()
    shown = {name.removeprefix("column:"): (held.get("type"), held.get("value")) for name, held in found.items()}
    assert shown == {
        "user": ("text", "u1"),
        "visits": ("text", "3"),
        "spent": ("text", "12.5"),
        "member": (None, None),
        "since": ("date", "2026-01-31"),
        "seen": ("datetime-local", "2026-02-01T10:30:00"),
        "<b>odd</b>": ("text", "a"),
    }
    assert '<option value="true" selected>yes' in page.text
    assert "<b>odd" not in page.text
    assert Page(page.text).mistakes == []


def test_a_prefilled_form_is_answered_as_it_stands(trying: Trying) -> None:
    given = {name: held.get("value", "") for name, held in inputs(open_page(trying.url + PAGE)).items()}
    page = httpx.post(trying.url + PAGE, data=given | {"column:member": "true"})
    assert page.status_code == 200
    assert "The answer" in page.text


def test_the_answer_stands_on_the_page_and_in_the_log(trying: Trying) -> None:
    page = httpx.post(trying.url + PAGE, data=ROW)
    assert page.status_code == 200
    assert Page(page.text).mistakes == []
    assert "<dt>prediction</dt><dd>1</dd>" in page.text
    logged = trying.gateway.logged("taste")
    row = logged.row(logged.height - 1, named=True)
    assert row["id"] in page.text
    asked = json.loads(row["inputs"])
    assert (asked["user"], asked["visits"], asked["spent"], asked["member"]) == ("u9", 2, None, False)
    assert inputs(page)["column:<b>odd</b>"]["value"] == "<i>"


def test_a_page_with_an_answer_does_not_renew_itself(trying: Trying) -> None:
    for page in (open_page(trying.url + PAGE), httpx.post(trying.url + PAGE, data=ROW)):
        assert not [held for tag, held in Page(page.text).elements if tag == "script"]


@pytest.mark.parametrize(
    ("column", "text", "told"),
    [
        ("visits", "many", "rows[0].visits: expected `int`, got `str`"),
        ("visits", "1.5", "rows[0].visits: expected `int`, got `float`"),
        ("visits", "", "rows[0].visits is missing, and the model needs it"),
        ("spent", "1e999", "rows[0].spent: expected `float | null`, got `str`"),
        ("member", "perhaps", "rows[0].member: expected `bool`, got `str`"),
        ("since", "yesterday", "rows[0].since: invalid RFC3339 encoded date"),
    ],
)
def test_what_the_gateway_does_not_like_stands_beside_its_column(
    trying: Trying, column: str, text: str, told: str
) -> None:
    page = httpx.post(trying.url + PAGE, data=ROW | {f"column:{column}": text})
    assert page.status_code == 422
    wrong = {name: held for name, held in inputs(page).items() if "aria-invalid" in held}
    assert wrong.keys() == {f"column:{column}"}
    place = wrong[f"column:{column}"]["aria-describedby"]
    assert told in unescape(page.text.partition(f'id="{place}" role="alert">')[2].partition("</p>")[0])
    assert inputs(page)["column:user"]["value"] == "u9"


def test_a_version_that_gets_no_traffic_is_refused_in_the_gateways_words(trying: Trying) -> None:
    page = httpx.post(trying.url + PAGE, data=ROW | {"version": "7"})
    assert page.status_code == 422
    assert "does not serve version 7 now" in page.text


def test_nothing_that_a_request_says_leads_to_another_address(trying: Trying) -> None:
    asked: list[str] = []

    async def inner(scope: dict, receive: object, send: object) -> None:  # type: ignore[type-arg]
        asked.append(scope["path"])

    with serve(inner) as inside:  # type: ignore[arg-type]
        place = inside.removeprefix("http://")
        for path in (PAGE, f"{PAGE}?gateway={inside}&url={inside}", f"/deployments/@{place}/try"):
            form = ROW | {"gateway": inside, "url": inside, "host": place, "version": f"@{place}"}
            httpx.post(trying.url + path, data=form, headers={"x-forwarded-host": place, "referer": inside})
    assert asked == []


def test_a_gateway_that_is_away_is_told(trying: Trying) -> None:
    config = structs.replace(trying.config, gateway_port=1)
    with serve(build_server(trying.services, config=config, owner=OWNER, project=None)) as url:
        page = httpx.post(url + PAGE, data=ROW)
    assert page.status_code == 422
    assert "no gateway answers at http://127.0.0.1:1" in page.text
    assert inputs(page)["column:user"]["value"] == "u9"


def test_a_form_of_another_site_and_one_that_is_too_long_are_refused(trying: Trying) -> None:
    foreign = httpx.post(trying.url + PAGE, data=ROW, headers={"origin": "http://evil.example"})
    assert foreign.status_code == 403
    assert httpx.post(trying.url + PAGE, data=ROW | {"column:user": "x" * 2_000_000}).status_code == 413


def test_a_deployment_that_is_not_there_has_no_form(trying: Trying) -> None:
    assert open_page(trying.url + "/deployments/nothing/try").status_code == 404
    assert httpx.post(trying.url + "/deployments/nothing/try", data=ROW).status_code == 404


def test_integers_keep_every_digit() -> None:
    assert read_row((Column("n", "long"),), {"n": "9007199254740993"}) == {"n": 9007199254740993}


def test_an_empty_text_is_a_text_only_where_one_is_needed() -> None:
    columns = (Column("a", "string"), Column("b", "string", required=False), Column("c", "double"))
    assert read_row(columns, {"a": "", "b": "", "c": ""}) == {"a": ""}


@pytest.fixture
def token_url(trying: Trying, tmp_path: Path) -> Iterator[str]:
    """The same behind a token, before the same gateway, which asks for none."""
    config = structs.replace(trying.config, token="secret")
    with serve(build_server(trying.services, config=config, owner=OWNER, project=None)) as url:
        yield url


def test_whoever_may_only_read_may_look_but_not_ask(trying: Trying, token_url: str) -> None:
    reader = trying.services.tokens.create_token("looker", "reader").secret
    writer = trying.services.tokens.create_token("helper", "contributor").secret
    headers = {name: {"authorization": f"Bearer {secret}"} for name, secret in (("r", reader), ("w", writer))}
    assert httpx.get(token_url + PAGE, headers=headers["r"]).status_code == 200
    refused = httpx.post(token_url + PAGE, data=ROW, headers=headers["r"])
    assert refused.status_code == 403
    assert "needs the role contributor" in refused.text
    assert httpx.post(token_url + PAGE, data=ROW, headers=headers["w"]).status_code == 200
