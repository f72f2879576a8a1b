"""Files that arrive in numbered parts: what has come stays, also when the server starts anew, until it is done or old.

Each part is a file of the object store. These are functions of a transaction.
"""

import secrets
from collections.abc import Iterable
from datetime import timedelta

from sqlalchemy import delete, insert, select

from penstock.core.errors import ConflictError, InvalidInputError, NotFoundError
from penstock.core.ids import Ref
from penstock.storage.references import drop_objects, keep_objects
from penstock.storage.rows import from_row, to_row
from penstock.storage.transaction import Transaction
from penstock.tracking.artifacts.homes import check_home
from penstock.tracking.artifacts.paths import check_path
from penstock.tracking.artifacts.tables import artifact_upload_parts, artifact_uploads
from penstock.tracking.artifacts.types import Upload, UploadPart

PARTS_LIMIT = 10_000
KEPT_FOR = timedelta(days=7)


class Uploads:
    """Uploads in parts, from their beginning to the moment when the parts are joined or given up."""

    def begin(self, tx: Transaction, home: str, path: str, num_parts: int) -> Upload:
        """Expect a file in so many parts; those that nobody finished in a week are forgotten.

        Raises:
            NotFoundError, ConflictError: the home is not there, or deleted.
            InvalidInputError: no file can have this path or number of parts.
        """
        if not 1 <= num_parts <= PARTS_LIMIT:
            raise InvalidInputError(
                f"a file cannot come in {num_parts} parts", hint=f"send 1 to {PARTS_LIMIT}", field="num_parts"
            )
        check_home(tx, home, for_writing=True)
        self._forget_old(tx)
        upload = Upload(
            id=secrets.token_hex(16),
            home=home,
            path=check_path(path),
            num_parts=num_parts,
            created_by=tx.actor.name,
            created_at=tx.now,
        )
        tx.execute(insert(artifact_uploads).values(to_row(upload)))
        return upload

    def get(self, tx: Transaction, upload_id: str) -> Upload:
        """An upload that is going on; NotFoundError when it is done, given up or too old."""
        query = select(artifact_uploads).where(artifact_uploads.c.id == upload_id)
        row = tx.execute(query.where(artifact_uploads.c.created_at >= tx.now - KEPT_FOR)).one_or_none()
        if row is None:
            raise NotFoundError(
                f"there is no upload {upload_id[:64]!r}", hint="it is done, given up or too old; begin a new one"
            )
        return from_row(Upload, row)

    def check_part(self, tx: Transaction, upload_id: str, number: int) -> None:
        """Whether a part of this number may come.

        Raises:
            NotFoundError: there is no such upload.
            InvalidInputError: it has no part of that number.
        """
        upload = self.get(tx, upload_id)
        if not 1 <= number <= upload.num_parts:
            raise InvalidInputError(
                f"there is no part {number}",
                hint=f"this upload has the parts 1 to {upload.num_parts}",
                field="part_number",
            )

    def add_part(self, tx: Transaction, upload_id: str, part: UploadPart) -> None:
        """Note a part that the object store holds; the same number again replaces it; errors as `check_part`."""
        self.check_part(tx, upload_id, part.number)
        held = artifact_upload_parts
        tx.execute(delete(held).where(held.c.upload_id == upload_id, held.c.number == part.number))
        tx.execute(insert(held).values(to_row(part) | {"upload_id": upload_id}))
        keep_objects(tx, _owner(upload_id), [part.digest])

    def list_parts(self, tx: Transaction, upload_id: str) -> list[UploadPart]:
        """The parts that have come, by number."""
        held = artifact_upload_parts
        query = select(held).where(held.c.upload_id == upload_id).order_by(held.c.number)
        return [from_row(UploadPart, row) for row in tx.execute(query)]

    def check_parts(
        self, tx: Transaction, upload_id: str, named: Iterable[tuple[int, str]]
    ) -> tuple[Upload, list[UploadPart]]:
        """The upload and all its parts, when they are just those that the uploader names by number and digest.

        Raises:
            NotFoundError: there is no such upload.
            ConflictError: a part is missing, named twice, or not the one that came.
        """
        upload, parts = self.get(tx, upload_id), self.list_parts(tx, upload_id)
        named = sorted(named)
        if [number for number, _ in named] != list(range(1, upload.num_parts + 1)):
            raise ConflictError(f"an upload of {upload.num_parts} parts is done when each of them is named once")
        held = {part.number: part.digest for part in parts}
        for number, digest in named:
            if held.get(number) != digest:
                what = "is not the one that came last" if number in held else "has not come"
                raise ConflictError(f"part {number} {what}", hint="send it again")
        return upload, parts

    def end(self, tx: Transaction, upload_id: str) -> None:
        """Forget an upload with its parts; NotFoundError when there is none."""
        self._forget(tx, self.get(tx, upload_id).id)

    def _forget_old(self, tx: Transaction) -> None:
        old = select(artifact_uploads.c.id).where(artifact_uploads.c.created_at < tx.now - KEPT_FOR)
        for upload_id in tx.execute(old).scalars().all():
            self._forget(tx, upload_id)

    def _forget(self, tx: Transaction, upload_id: str) -> None:
        tx.execute(delete(artifact_upload_parts).where(artifact_upload_parts.c.upload_id == upload_id))
        tx.execute(delete(artifact_uploads).where(artifact_uploads.c.id == upload_id))
        drop_objects(tx, _owner(upload_id))


def _owner(upload_id: str) -> Ref:
    return Ref("upload", upload_id)
