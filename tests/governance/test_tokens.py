"""Tokens: made, shown once, found again by their hash, revoked; and the book a server asks about them."""

import hmac
import math
import statistics
import time
from pathlib import Path

import pytest

from factories import TESTER, open_database
from penstock.core.clock import ManualClock
from penstock.core.errors import AlreadyExistsError, InvalidInputError, NotFoundError
from penstock.core.events import Entry
from penstock.core.identity import Actor, Role
from penstock.governance.tokens.book import SERVER_TOKEN, TokenBook
from penstock.governance.tokens.service import SESSION_LIFE, TokenService
from penstock.governance.tokens.text import digest_of, id_of, is_token_text, make_token_text
from penstock.storage.database import Database


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def db(tmp_path: Path, clock: ManualClock) -> Database:
    return open_database(tmp_path, clock)


@pytest.fixture
def tokens(db: Database) -> TokenService:
    return TokenService(db)


@pytest.fixture
def book(tokens: TokenService) -> TokenBook:
    return TokenBook(tokens)


def find(book: TokenBook, secret: str) -> Actor | None:
    book.read()
    return book.find(secret)


def test_a_token_has_a_prefix_enough_chance_and_a_checksum() -> None:
    made = {make_token_text() for _ in range(1000)}
    assert len(made) == 1000 and all(text.startswith("pst_") and is_token_text(text) for text in made)
    assert 40 * math.log2(32) >= 128
    text = made.pop()
    for place in range(len(text)):
        other = "z" if text[place] != "z" else "y"
        assert not is_token_text(text[:place] + other + text[place + 1 :])
    assert not is_token_text(text[:-1]) and not is_token_text(text + "0") and not is_token_text("")


def test_who_shows_a_token_is_its_actor(tokens: TokenService, book: TokenBook) -> None:
    made = tokens.create_token("ada", "maintainer")
    assert find(book, made.secret) == Actor("ada", Role.MAINTAINER)
    assert made.token.created_by == TESTER.name and made.token.expires_at is None


def test_a_token_that_nobody_made_opens_nothing(tokens: TokenService, book: TokenBook) -> None:
    made = tokens.create_token("ada")
    other = make_token_text()
    same_id = "pst_" + id_of(made.secret) + other[12:]
    assert [find(book, text) for text in (other, same_id, made.secret[:-1], made.secret.upper(), "", "pst_")] == [
        None
    ] * 6


@pytest.mark.sqlite
def test_only_a_hash_is_kept_and_nothing_tells_the_secret(
    tokens: TokenService, book: TokenBook, db: Database, entries: list[Entry], tmp_path: Path
) -> None:
    secret = tokens.create_token("ada").secret
    arguments = TokenService.create_token.arguments(name="grace")
    again = tokens.create_token.run_as(TESTER, arguments, key="k1").result().secret
    find(book, secret)
    tokens.revoke_token("ada")
    assert "secret" not in str(tokens.list_tokens())
    assert [entry.action for entry in entries] == ["tokens.create_token", "tokens.create_token", "tokens.revoke_token"]
    db.close()
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    for text in (secret, again):
        assert text[13:].encode() not in kept and text.encode() not in str(entries).encode()
    assert digest_of(secret).hex().encode() in kept


def test_a_name_has_one_token_until_that_is_revoked(tokens: TokenService, book: TokenBook) -> None:
    first = tokens.create_token("ada")
    with pytest.raises(AlreadyExistsError, match="tokens revoke ada"):
        tokens.create_token("ada")
    assert tokens.revoke_token("ada").revoked_at is not None
    second = tokens.create_token("ada", "reader")
    assert find(book, first.secret) is None and find(book, second.secret) == Actor("ada", Role.READER)
    tokens.revoke_token(second.token.id)
    assert find(book, second.secret) is None
    with pytest.raises(NotFoundError, match="tokens list"):
        tokens.revoke_token("ada")


@pytest.mark.parametrize("name", ["", "a b", "x" * 200, "../a", "a\n"])
def test_a_name_is_one_that_people_can_write(name: str, tokens: TokenService) -> None:
    with pytest.raises(InvalidInputError):
        tokens.create_token(name)


def test_a_token_ends_at_its_time(tokens: TokenService, book: TokenBook, clock: ManualClock) -> None:
    secret = tokens.create_token("ada", lifetime_s=3600.0).secret
    assert find(book, secret) is not None
    clock.advance(seconds=3601)
    assert book.find(secret) is None
    for lifetime_s in (0.0, -1.0, 1e12, float("nan")):
        with pytest.raises(InvalidInputError, match="from a minute to ten years"):
            tokens.create_token("grace", lifetime_s=lifetime_s)


def test_the_last_use_is_written_down_once_a_minute(tokens: TokenService, book: TokenBook, db: Database) -> None:
    secret = tokens.create_token("ada").secret
    for _ in range(100):
        find(book, secret)
    db.write(lambda tx: None)  # what was queued before is done
    assert tokens.list_tokens()[0].last_used_at is not None


def test_the_book_knows_whether_a_token_was_ever_made(tokens: TokenService, book: TokenBook) -> None:
    book.read()
    assert not book.knows_any
    tokens.create_token("ada")
    tokens.revoke_token("ada")
    book.read()
    assert book.knows_any


def test_a_session_goes_as_far_as_its_token(tokens: TokenService, book: TokenBook, clock: ManualClock) -> None:
    made = tokens.create_token("ada", "reader")
    for cookie, token_id in (("c1", made.token.id), ("c2", SERVER_TOKEN), ("c3", made.token.id)):
        tokens.open_session(digest_of(cookie).hex(), token_id)
    tokens.close_session(digest_of("c3").hex())
    book.read()
    assert book.find_session("c1") == Actor("ada", Role.READER)
    assert book.find_session("c2") == SERVER_TOKEN
    assert book.find_session("c3") is None and book.find_session("other") is None
    tokens.revoke_token("ada")
    book.read()
    assert book.find_session("c1") is None
    clock.advance(seconds=SESSION_LIFE.total_seconds() + 1)
    book.read()
    assert book.find_session("c2") is None


def test_how_long_a_wrong_token_takes_does_not_tell_how_wrong_it_is(tokens: TokenService, book: TokenBook) -> None:
    secret = tokens.create_token("ada").secret
    book.read()
    near = secret[:-1] + ("0" if secret[-1] != "0" else "1")
    far = secret[:13] + "0" * (len(secret) - 13)
    times: dict[str, list[int]] = {near: [], far: []}
    for _ in range(5_000):
        for text, taken in times.items():
            started = time.perf_counter_ns()
            book.find(text)
            taken.append(time.perf_counter_ns() - started)
    first, second = (statistics.median(taken) for taken in times.values())
    assert abs(first - second) < 0.2 * first  # a digest that differs early or late: hmac.compare_digest reads it all
    assert hmac.compare_digest(digest_of(near), digest_of(far)) is False
