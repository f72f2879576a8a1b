"""The verbs of tokens: make, list and revoke them; open and close a browser's session."""

from datetime import timedelta

from penstock.core.errors import AlreadyExistsError, InvalidInputError, NotFoundError
from penstock.core.ids import Ref, check_name
from penstock.governance.tokens.store import TokenStore
from penstock.governance.tokens.text import digest_of, id_of, make_token_text
from penstock.governance.tokens.types import NewToken, RoleName, Token
from penstock.storage.database import Database
from penstock.storage.transaction import Transaction
from penstock.storage.verbs import adds, issues, logs, reads, writes

SHORTEST_LIFE_S, LONGEST_LIFE_S = 60.0, 10 * 365 * 86_400.0
SESSION_LIFE = timedelta(days=7)


class TokenService:
    """The verbs of tokens; what is kept of a secret is its hash."""

    noun = "tokens"

    def __init__(self, db: Database) -> None:
        self.db = db
        self._store = TokenStore()

    @issues
    def create_token(
        self, tx: Transaction, name: str, role: RoleName = "contributor", lifetime_s: float | None = None
    ) -> NewToken:
        """Make a token; the answer shows its secret, for the only time.

        From the first one on, a server asks everybody for a token.

        Args:
            name: of whoever will use it: the actor of what is done with it.
            role: how much it may do.
            lifetime_s: how many seconds it is good for, 60 to 10 years; None: until it is revoked.

        Raises:
            AlreadyExistsError: a token of this name is in use.
            InvalidInputError: the name or the lifetime cannot be.
        """
        check_name(name, "token")
        if lifetime_s is not None and not SHORTEST_LIFE_S <= lifetime_s <= LONGEST_LIFE_S:
            raise InvalidInputError(
                f"a token cannot live {lifetime_s:g} s", hint="from a minute to ten years", field="lifetime_s"
            )
        if self._store.find_live(tx, name) is not None:
            raise AlreadyExistsError(
                f"there is a token {name!r}",
                hint=f"revoke it with 'penstock tokens revoke {name}', or take another name",
            )
        secret = make_token_text()
        expires_at = None if lifetime_s is None else tx.now + timedelta(seconds=lifetime_s)
        token = Token(
            id=id_of(secret), name=name, role=role, created_at=tx.now, created_by=tx.actor.name, expires_at=expires_at
        )
        self._store.add(tx, token, digest_of(secret).hex())
        tx.record("tokens.create_token", Ref("token", token.id), name=name, role=role, expires_at=expires_at)
        return NewToken(token=token, secret=secret)

    @reads
    def list_tokens(self, tx: Transaction) -> list[Token]:
        """Every token there ever was, the newest first; without the secrets, which nobody has."""
        return self._store.list_all(tx)

    @writes
    def revoke_token(self, tx: Transaction, name: str) -> Token:
        """End a token, by its name or its id; within a second it opens nothing, nor do the sessions that it opened.

        Raises:
            NotFoundError: no such token is in use.
        """
        token = self._store.find_live(tx, name)
        if token is None:
            raise NotFoundError(f"no token {name[:100]!r} is in use", hint="'penstock tokens list' shows them all")
        self._store.revoke(tx, token.id)
        tx.record("tokens.revoke_token", Ref("token", token.id), name=token.name)
        return next(each for each in self._store.list_all(tx) if each.id == token.id)

    @logs
    def note_use(self, tx: Transaction, token_id: str) -> None:
        """Write down that a token was shown just now."""
        self._store.note_use(tx, token_id)

    @adds
    def open_session(self, tx: Transaction, digest: str, token_id: str) -> None:
        """Let the browser with this cookie in for a week, as far as the token behind it goes."""
        self._store.add_session(tx, digest, token_id, tx.now + SESSION_LIFE)

    @logs
    def close_session(self, tx: Transaction, digest: str) -> None:
        """Let the browser with this cookie in no longer."""
        self._store.remove_session(tx, digest)
