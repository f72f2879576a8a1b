"""`penstock models`: models, their versions and their history."""

from typing import ClassVar

from penstock.cli.apps import LazyGroup, group_app

_TEXTS = {
    "list": "Every model with its newest version, its aliases and tags.",
    "show": "One version: what it is, how it was judged, which form of it runs.",
    "compile": "Make a version, or a model directory, with a fast form.",
    "trust": "Vouch for the code of a model: it may run, without network and secrets.",
    "distrust": "Withdraw the trust in the code of a model.",
    "sign": "Sign a version, or a model directory.",
    "verify": "See that a version, or a model directory, is what was signed.",
    "keys": "The keys whose signatures of models count.",
    "history": "Who moved an alias, when, from where to where.",
}


class ModelsGroup(LazyGroup):
    """Its commands, each imported when it is called."""

    package = __name__
    files: ClassVar = {name: name for name in _TEXTS} | {"list": "listing", "compile": "compiling"}
    texts: ClassVar = _TEXTS


app = group_app("List, show, compile, vouch for and sign models and their versions.", ModelsGroup)
