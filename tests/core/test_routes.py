"""A route knows the arguments that stand in its path."""

import pytest

from penstock.core.identity import Actor, Role, local_actor
from penstock.core.routes import Route


class Look:
    name = "look"
    doc = ""
    is_read = True


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/models", ()),
        ("/models/{model}/aliases/{alias}", ("model", "alias")),
        ("/runs/{run_id}/artifacts/{path:path}", ("run_id", "path")),
    ],
)
def test_the_names_in_braces_are_the_path_parameters(path: str, names: tuple[str, ...]) -> None:
    assert Route("GET", path, Look(), needs=Role.READER).path_parameters == names


def test_each_role_includes_the_ones_before_it() -> None:
    assert Role.NOBODY < Role.READER < Role.CONTRIBUTOR < Role.MAINTAINER < Role.ADMIN


def test_an_actor_only_reads_unless_more_is_said() -> None:
    assert Actor("ana").role is Role.READER


def test_the_user_of_this_machine_owns_the_local_project() -> None:
    actor = local_actor()
    assert actor.name
    assert actor.role is Role.ADMIN
