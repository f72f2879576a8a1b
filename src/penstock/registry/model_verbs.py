"""The verbs about models as such: make, describe, tag, rename, delete."""

from typing import Any

from msgspec import structs

from penstock.core.errors import AlreadyExistsError
from penstock.core.ids import check_name
from penstock.registry.lookup import RegistryLookup
from penstock.registry.names import check_model_name, check_tags, check_text
from penstock.registry.types import ChangeKind, Model
from penstock.storage.references import drop_objects
from penstock.storage.transaction import Transaction
from penstock.storage.verbs import logs, writes


class ModelVerbs(RegistryLookup):
    """Names, and what is said of them."""

    @writes
    def create_model(
        self,
        tx: Transaction,
        model: str,
        description: str = "",
        tags: dict[str, str] = {},  # noqa: B006  # read only
    ) -> Model:
        """Make a model without versions.

        Raises:
            AlreadyExistsError: there is one of that name.
        """
        if self._models.find_named(tx, check_model_name(model)) is not None:
            raise _name_taken(model)
        made = self._insert_model(tx, model, description, tags)
        tx.record("registry.create_model", made.ref, description=description, tags=tags)
        return made

    @logs
    def describe_model(self, tx: Transaction, model: str, description: str) -> Model:
        """Say what a model is for."""
        held = self._lock(tx, model)
        check_text(description, "description")
        if held.description != description:
            tx.record("registry.describe_model", held.ref, before=held.description, after=description)
        return self._change_model(tx, held, description=description)

    @writes
    def rename_model(self, tx: Transaction, model: str, new_name: str, reason: str = "") -> Model:
        """Give a model another name; versions, aliases, tags and history stay with it.

        The old name goes on leading to it, until another model takes it.

        Raises:
            AlreadyExistsError: another model has that name.
        """
        held = self._lock(tx, model)
        check_model_name(new_name)
        if held.name != new_name and self._models.find_named(tx, new_name) is not None:
            raise _name_taken(new_name)
        self._note(tx, held, ChangeKind.NAME, before=held.name, after=new_name, reason=reason)
        tx.record("registry.rename_model", held.ref, before=held.name, after=new_name, reason=reason)
        return self._change_model(tx, held, name=new_name)

    @logs
    def set_model_tags(self, tx: Transaction, model: str, tags: dict[str, str]) -> Model:
        """Set tags of a model; those not named stay."""
        held = self._lock(tx, model)
        changed = {key: value for key, value in check_tags(tags).items() if held.tags.get(key) != value}
        if changed:
            self._models.set_tags(tx, held.key, changed)
            tx.record("registry.set_model_tags", held.ref, tags=changed)
        return structs.replace(held, tags=held.tags | changed)

    @logs
    def delete_model_tag(self, tx: Transaction, model: str, key: str) -> None:
        """Forget a tag of a model; one that is not there is left alone."""
        held = self._lock(tx, model)
        if key in held.tags:
            self._models.remove_tag(tx, held.key, key)
            tx.record("registry.delete_model_tag", held.ref, key=key, before=held.tags[key])

    @writes
    def delete_model(self, tx: Transaction, model: str, reason: str = "") -> None:
        """Delete a model with its versions and aliases; its history can still be read, and its name is free again.

        Raises:
            ConflictError: a deployment uses one of its versions.
        """
        held = self._lock(tx, model)
        self._refuse_in_use(tx, held)
        for version in self._versions.list_of(tx, held.key, held.latest_version or 1, None, None):
            drop_objects(tx, version.ref)
        self._drop_aliases(tx, held, "the model was deleted")
        count = self._versions.delete_all(tx, held.key)
        self._models.update(tx, held.key, deleted_at=tx.now)
        self._note(tx, held, ChangeKind.DELETED, before=held.name, reason=reason)
        tx.record("registry.delete_model", held.ref, name=held.name, versions=count, reason=reason)

    def _open_model(self, tx: Transaction, name: str) -> Model:
        """The model, locked; made when there is none."""
        found = self._models.find_named(tx, name) or self._models.find_former(tx, name)
        if found is None:
            self._insert_model(tx, check_name(name, "model"), "", {})
        return self._lock(tx, name)

    def _insert_model(self, tx: Transaction, name: str, description: str, tags: dict[str, str]) -> Model:
        made = Model(
            key=self._free_key(tx, name),
            name=name,
            latest_version=0,
            description=check_text(description, "description"),
            created_at=tx.now,
            created_by=tx.actor.name,
            updated_at=tx.now,
            tags=check_tags(tags),
        )
        self._models.add(tx, made)
        return made

    def _free_key(self, tx: Transaction, name: str) -> str:
        """The name, or one made from it where an earlier model has used that: lineage never mixes two models."""
        key, number = name, 1
        while self._models.has_key(tx, key):
            number += 1
            key = f"{name}~{number}"
        return key

    def _change_model(self, tx: Transaction, model: Model, **values: Any) -> Model:
        self._models.update(tx, model.key, updated_at=tx.now, **values)
        return structs.replace(model, updated_at=tx.now, **values)


def _name_taken(name: str) -> AlreadyExistsError:
    return AlreadyExistsError(
        f"Registered Model (name={name}) already exists", hint="choose another name, or use the one that is there"
    )
