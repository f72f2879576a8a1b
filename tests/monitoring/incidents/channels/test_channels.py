"""Each channel against a real receiver on loopback: what arrives, how it is signed, and what becomes of refusals."""

import base64
import email
import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from email import policy
from ipaddress import ip_network
from pathlib import Path

import pytest

from monitoring.incidents.receivers import Hook, Mailbox, listen_http, listen_smtp, make_certificate
from penstock.core.ids import IncidentId
from penstock.core.outward import Outward
from penstock.core.project.types import AlertSection
from penstock.monitoring.incidents.channels.channel import DeliveryError
from penstock.monitoring.incidents.channels.open import open_channel
from penstock.monitoring.incidents.types import Delivery

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
LOOPBACK = Outward([ip_network("127.0.0.0/8")])
MAIL_HOST = Outward([ip_network("127.0.0.0/8")], resolve=lambda host, port: ["127.0.0.1"])
DELIVERY = Delivery(
    id="i1.opened.abc",
    incident=IncidentId("i1"),
    deployment="shop",
    rule="webhook",
    step="opened",
    severity="page",
    message={
        "title": "shop: drift (page)",
        "summary": "price moved by 0.41 <& more>",
        "changes": ["price moved by 0.41 <& more>", "size moved by 0.2"],
        "look": "http://penstock.test/deployments/shop",
        "command": "penstock alerts show i1",
        "proposal": "`penstock run` trains anew",
        "incident": {"id": "i1"},
    },
    next_at=NOW,
    created_at=NOW,
)


@pytest.fixture
def hook() -> Iterator[Hook]:
    with listen_http() as hook:
        yield hook


@pytest.fixture
def box() -> Iterator[Mailbox]:
    with listen_smtp() as box:
        yield box


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch, hook: Hook, tmp_path: Path) -> None:
    monkeypatch.setenv("HOOK_URL", hook.url)
    (tmp_path / "hook.secret").write_text("a long secret\n")


def send(rule: AlertSection, root: Path, outward: Outward = LOOPBACK) -> None:
    open_channel(rule, outward, root).send(DELIVERY)


WEBHOOK = AlertSection(to="webhook", url="env:HOOK_URL", secret="file:hook.secret")


def verify_as_documented(secret: bytes, headers: dict[str, str], body: bytes) -> bool:
    """What docs/how-to/alerts.md tells a receiver to do."""
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()
    given = [part.partition(",")[2] for part in headers["webhook-signature"].split()]
    return any(hmac.compare_digest(expected, each) for each in given)


def test_a_webhook_is_signed_so_that_the_receiver_can_tell(secrets: None, hook: Hook, tmp_path: Path) -> None:
    send(WEBHOOK, tmp_path)
    (got,) = hook.received
    assert got.headers["webhook-id"] == DELIVERY.id
    assert verify_as_documented(b"a long secret", got.headers, got.body)
    assert not verify_as_documented(b"another", got.headers, got.body)
    assert not verify_as_documented(b"a long secret", got.headers, got.body + b" ")
    assert abs(int(got.headers["webhook-timestamp"]) - datetime.now(UTC).timestamp()) < 3600
    body = json.loads(got.body)
    assert (body["type"], body["data"]["proposal"]) == ("incident.opened", "`penstock run` trains anew")
    assert b"a long secret" not in got.body


def test_a_secret_in_the_form_of_standard_webhooks_is_decoded(secrets: None, hook: Hook, tmp_path: Path) -> None:
    key = b"\x00\x01binary\xff"
    (tmp_path / "hook.secret").write_text("whsec_" + base64.b64encode(key).decode())
    send(WEBHOOK, tmp_path)
    assert verify_as_documented(key, hook.received[0].headers, hook.received[0].body)


FINAL = {400: True, 401: True, 404: True, 429: False, 500: False, 503: False, 302: True}


@pytest.mark.parametrize(("status", "is_final"), FINAL.items())
def test_a_refusal_is_final_unless_the_other_side_may_change_its_mind(
    secrets: None, hook: Hook, tmp_path: Path, status: int, is_final: bool
) -> None:
    hook.answers = [status]
    with pytest.raises(DeliveryError, match=str(status)) as caught:
        send(WEBHOOK, tmp_path)
    assert caught.value.is_final is is_final
    assert len(hook.received) == 1  # no redirect was followed
    assert "hidden" not in str(caught.value)


def test_an_address_inside_is_refused_unless_it_is_named(secrets: None, hook: Hook, tmp_path: Path) -> None:
    with pytest.raises(DeliveryError, match="leads inward") as caught:
        send(WEBHOOK, tmp_path, Outward())
    assert caught.value.is_final
    assert hook.received == []


def test_a_secret_that_is_not_there_is_told_by_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOOK_URL", raising=False)
    with pytest.raises(DeliveryError, match=r"secret file hook\.secret cannot be read") as caught:
        send(WEBHOOK, tmp_path)
    assert caught.value.is_final
    (tmp_path / "hook.secret").write_text("x")
    with pytest.raises(DeliveryError, match="environment variable HOOK_URL is not set"):
        send(WEBHOOK, tmp_path)


def test_a_receiver_that_is_away_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with listen_http() as gone:
        url = gone.url
    monkeypatch.setenv("HOOK_URL", url)
    (tmp_path / "hook.secret").write_text("x")
    with pytest.raises(DeliveryError) as caught:
        send(WEBHOOK, tmp_path)
    assert not caught.value.is_final


def test_slack_gets_text_without_links_or_mentions_of_others(secrets: None, hook: Hook, tmp_path: Path) -> None:
    send(AlertSection(to="slack", url="env:HOOK_URL"), tmp_path)
    text = json.loads(hook.received[0].body)["text"]
    assert text.startswith("*shop: drift (page)*\n")
    assert "0.41 &lt;&amp; more&gt;" in text
    assert "http://penstock.test/deployments/shop" in text and "Proposed:" in text


def mail_rule(scheme: str, host: str, port: int, **more: str) -> AlertSection:
    smtp = f"{scheme}://{host}:{port}"
    people = ("ada@example.org", "bo@example.org")
    return AlertSection(to="email", smtp=smtp, sender="penstock@example.org", recipients=people, **more)


def test_mail_arrives_with_everything_a_person_wants_to_know(box: Mailbox, tmp_path: Path) -> None:
    send(mail_rule("smtp+plain", "127.0.0.1", box.port), tmp_path)
    mail = email.message_from_string(box.mails[0], policy=policy.default)
    assert mail["subject"] == "shop: drift (page)"
    assert mail["message-id"] == f"<{DELIVERY.id}@penstock.invalid>"
    assert box.recipients == ["ada@example.org", "bo@example.org"]
    body = mail.get_content()
    assert "price moved by 0.41" in body and "- size moved by 0.2" in body
    assert "Proposed:" in body and "http://penstock.test/deployments/shop" in body


def test_a_title_with_line_breaks_adds_no_header(box: Mailbox, tmp_path: Path) -> None:
    message = {**DELIVERY.message, "title": "shop\r\nBcc: eve@example.org"}
    delivery = Delivery(**{name: getattr(DELIVERY, name) for name in DELIVERY.__struct_fields__} | {"message": message})
    open_channel(mail_rule("smtp+plain", "127.0.0.1", box.port), LOOPBACK, tmp_path).send(delivery)
    assert email.message_from_string(box.mails[0])["bcc"] is None


@pytest.mark.parametrize(("scheme", "at_once"), [("smtp", False), ("smtps", True)])
def test_mail_and_password_go_over_tls(
    scheme: str, at_once: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, context = make_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setenv("MAIL_PASSWORD", "hidden")
    with listen_smtp(tls=context, at_once=at_once) as box:
        rule = mail_rule(scheme, "mail.test", box.port, user="ada", password="env:MAIL_PASSWORD")
        send(rule, tmp_path, MAIL_HOST)
        assert box.encrypted == [True]
        assert base64.b64decode(box.logins[0]) == b"\0ada\0hidden"


def test_a_mail_server_that_nobody_vouches_for_gets_nothing(tmp_path: Path) -> None:
    _, context = make_certificate(tmp_path)
    with listen_smtp(tls=context) as box:
        with pytest.raises(DeliveryError, match="certificate"):
            send(mail_rule("smtp", "mail.test", box.port), tmp_path, MAIL_HOST)
        assert box.mails == []


def test_without_tls_nothing_is_sent_unless_the_file_says_plain(box: Mailbox, tmp_path: Path) -> None:
    with pytest.raises(DeliveryError, match="STARTTLS") as caught:
        send(mail_rule("smtp", "127.0.0.1", box.port), tmp_path)
    assert caught.value.is_final
    assert box.mails == []


@pytest.mark.parametrize(("answer", "is_final"), [("550 no such person", True), ("451 later", False)])
def test_a_mail_server_that_refuses_is_asked_again_only_if_it_says_later(
    box: Mailbox, tmp_path: Path, answer: str, is_final: bool
) -> None:
    box.refuse = answer
    with pytest.raises(DeliveryError, match="refuses the recipients") as caught:
        send(mail_rule("smtp+plain", "127.0.0.1", box.port), tmp_path)
    assert caught.value.is_final is is_final


def test_a_mail_server_inside_is_refused_unless_it_is_named(box: Mailbox, tmp_path: Path) -> None:
    with pytest.raises(DeliveryError, match="leads inward"):
        send(mail_rule("smtp+plain", "127.0.0.1", box.port), tmp_path, Outward())
    assert box.mails == []


def test_a_file_grows_by_a_line_for_each_message(tmp_path: Path) -> None:
    rule = AlertSection(to="file", path="told/alerts.jsonl")
    send(rule, tmp_path)
    send(rule, tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "told/alerts.jsonl").read_text().splitlines()]
    assert [line["id"] for line in lines] == [DELIVERY.id, DELIVERY.id]
    assert lines[0]["summary"] == DELIVERY.message["summary"]


def test_standard_output_shows_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    send(AlertSection(to="stdout"), tmp_path)
    assert json.loads(capsys.readouterr().out)["title"] == "shop: drift (page)"


def test_a_file_that_cannot_be_written_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "told").write_text("in the way")
    with pytest.raises(DeliveryError) as caught:
        send(AlertSection(to="file", path="told/alerts.jsonl"), tmp_path)
    assert not caught.value.is_final
