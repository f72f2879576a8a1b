"""The SQL of the loop; a query per method."""

from collections.abc import Sequence

from sqlalchemy import Insert, func, insert, select, update

from penstock.core.errors import NotFoundError
from penstock.loop.retraining.types import Standing
from penstock.loop.tables import decisions, episodes, looks, standings
from penstock.loop.types import Decision, Episode, Look
from penstock.storage.database import Database
from penstock.storage.rows import from_row, to_row
from penstock.storage.transaction import Transaction


class LoopStore:
    """Reads and writes episodes, decisions and looks."""

    def __init__(self, db: Database) -> None:
        names = [column.name for column in standings.c if not column.primary_key]
        self._put_standing: Insert = db.upsert(standings, keys=("project",), update=names)
        self._put_look: Insert = db.upsert(
            looks, keys=("project",), update=("seen", "settled", "waiting_for", "problem", "at")
        )

    def insert_episode(self, tx: Transaction, episode: Episode) -> None:
        """Add an episode; the database refuses a second open one of the same project."""
        tx.execute(insert(episodes).values(to_row(episode)))

    def update_episode(self, tx: Transaction, episode: Episode) -> None:
        """Replace an episode."""
        tx.execute(update(episodes).where(episodes.c.id == episode.id).values(to_row(episode)))

    def get_episode(self, tx: Transaction, episode_id: str) -> Episode:
        """One episode; raises NotFoundError."""
        row = tx.execute(select(episodes).where(episodes.c.id == episode_id)).one_or_none()
        if row is None:
            raise NotFoundError(f"there is no episode {episode_id!r}", hint="`penstock episodes` lists them")
        return from_row(Episode, row)

    def find_open_episode(self, tx: Transaction, project: str) -> Episode | None:
        """The episode that is not ended yet."""
        query = select(episodes).where(episodes.c.project == project, episodes.c.ended_at.is_(None))
        row = tx.execute(query).one_or_none()
        return None if row is None else from_row(Episode, row)

    def list_episodes(self, tx: Transaction, project: str, states: Sequence[str], limit: int) -> list[Episode]:
        """Episodes, newest first."""
        query = select(episodes).order_by(episodes.c.started_at.desc(), episodes.c.number.desc()).limit(limit)
        if project:
            query = query.where(episodes.c.project == project)
        if states:
            query = query.where(episodes.c.state.in_(states))
        return [from_row(Episode, row) for row in tx.execute(query)]

    def last_number(self, tx: Transaction, project: str) -> int:
        """The number of the newest episode of a project; 0 before the first."""
        query = select(func.max(episodes.c.number)).where(episodes.c.project == project)
        number: int | None = tx.execute(query).scalar()
        return number or 0

    def insert_decision(self, tx: Transaction, decision: Decision) -> None:
        """Add a decision."""
        tx.execute(insert(decisions).values(to_row(decision)))

    def count_decisions(self, tx: Transaction, episode_id: str) -> int:
        """How many decisions an episode has."""
        query = select(func.count()).where(decisions.c.episode == episode_id)
        count: int = tx.execute(query).scalar_one()
        return count

    def list_decisions(self, tx: Transaction, episode_id: str) -> list[Decision]:
        """The decisions of an episode, oldest first."""
        query = select(decisions).where(decisions.c.episode == episode_id).order_by(decisions.c.number)
        return [from_row(Decision, row) for row in tx.execute(query)]

    def put_standing(self, tx: Transaction, standing: Standing) -> None:
        """Write where the question of a retrain stands, in place of what was."""
        tx.execute(self._put_standing, to_row(standing))

    def find_standing(self, tx: Transaction, project: str) -> Standing | None:
        """Where it stands; None before it was first asked."""
        row = tx.execute(select(standings).where(standings.c.project == project)).one_or_none()
        return None if row is None else from_row(Standing, row)

    def put_look(self, tx: Transaction, look: Look) -> None:
        """Write what a controller found, in place of the look before."""
        tx.execute(self._put_look, to_row(look))

    def find_look(self, tx: Transaction, project: str) -> Look | None:
        """What a controller last found."""
        row = tx.execute(select(looks).where(looks.c.project == project)).one_or_none()
        return None if row is None else from_row(Look, row)
