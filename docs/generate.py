"""Fills the parts of the reference that the code knows better: commands, settings, sections, routes, names.

    python docs/generate.py            # rewrite the pages
    python docs/generate.py --check    # only say which pages are out of date

A part stands between `<!-- generated: NAME -->` and `<!-- end -->` on a page.
"""

import argparse
import ast
import inspect
import itertools
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import penstock
from penstock.catalogue.services import ROUTES
from penstock.cli.main import COMMANDS, Program
from penstock.core import config, errors
from penstock.core.project import types as project_types

DOCS = Path(__file__).parent
SOURCE = DOCS.parent / "src/penstock"
_PART = re.compile(r"(<!-- generated: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_HIT = re.compile(r"failpoints\.hit\(\s*f?\"([^\"]+)\"")
_READABLE = {
    "timedelta | None": "length of time",
    "timedelta": "length of time",
    "Rate": "rate",
    "Text": "text",
    "Name": "name",
    "Share": "0 to 1",
    "Positive": "number above 0",
    "NotNegative": "number from 0",
    "str": "text",
    "float": "number",
    "int": "whole number",
    "bool": "true or false",
}


def main() -> int:
    """Rewrite or check every page."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--check", action="store_true")
    given = options.parse_args()
    stale = stale_pages()
    for page, text in stale.items():
        print(f"{page.relative_to(DOCS.parent)} is out of date" if given.check else f"wrote {page}")
        if not given.check:
            page.write_text(text)
    return bool(stale) and given.check


def stale_pages() -> dict[Path, str]:
    """The pages that do not say what the code says, with what they should hold."""
    pages = {page: page.read_text() for page in sorted((DOCS / "reference").glob("*.md"))}
    fresh = {page: _PART.sub(lambda m: m[1] + PARTS[m[2]]() + m[3], text) for page, text in pages.items()}
    return {page: text for page, text in fresh.items() if text != pages[page]}


def commands() -> str:
    """Every command with its arguments and options."""
    program = Program(name="penstock")
    parts = []
    for name in COMMANDS:
        command = program.commands[name]
        if getattr(command, "commands", None):
            parts.append(f"## penstock {name}\n\n{COMMANDS[name][2]}\n")
            parts += _subcommands(f"penstock {name}", command)
        else:
            parts.append(_command(f"penstock {name}", "##", command))
    return "\n" + "\n".join(parts) + "\n"


def _subcommands(name: str, group: Any) -> Iterator[str]:
    for each, command in group.commands.items():
        if getattr(command, "commands", None):
            yield from _subcommands(f"{name} {each}", command)
        else:
            yield _command(f"{name} {each}", "###", command)


def _command(name: str, heading: str, command: Any) -> str:
    shown = [param for param in command.params if param.name != "help" and not getattr(param, "hidden", False)]
    arguments = [param for param in shown if param.param_type_name == "argument"]
    words = [_argument(param) for param in arguments]
    lines = [f"{heading} {name}", "", " ".join([f"`{name}", *words, "[OPTIONS]`"]), ""]
    lines += [" ".join((command.help or "").split("\f")[0].split()), ""]
    rows = [_option(param) for param in shown if param.param_type_name == "option"]
    rows += [(f"`{_argument(param)}`", getattr(param, "help", "")) for param in arguments if getattr(param, "help", "")]
    if rows:
        lines += ["| option | |", "|---|---|", *(f"| {name} | {_cell(text)} |" for name, text in rows), ""]
    return "\n".join(lines)


def _argument(param: Any) -> str:
    word = (param.metavar or param.name).upper() + ("..." if param.nargs == -1 else "")
    return word if param.required else f"[{word}]"


def _option(param: Any) -> tuple[str, str]:
    names = ", ".join(f"`{each}`" for each in [*param.opts, *param.secondary_opts])
    plain = param.default if isinstance(param.default, (str, int, float)) else ""
    is_told = plain in ("", False, None) or "default" in (param.help or "")
    default = "" if is_told else f" (default: `{plain}`)"
    return names, f"{param.help or ''}{default}"


def settings() -> str:
    """Every setting with its variable, default and docstring."""
    (record,) = ast.parse(inspect.getsource(config.Config)).body
    rows = []
    for field, doc in itertools.pairwise(record.body):
        if isinstance(field, ast.AnnAssign) and isinstance(doc, ast.Expr):
            value = getattr(config.Config(), field.target.id)
            default = "" if value == "" else f"`{value}`"
            rows.append(f"| `PENSTOCK_{field.target.id.upper()}` | {default} | {_cell(doc.value.value)} |")
    return "\n| variable | default | |\n|---|---|---|\n" + "\n".join(rows) + "\n\n"


def sections() -> str:
    """Every section of the project file with its keys, from the records' own comments."""
    source = inspect.getsource(project_types)
    lines = source.splitlines()
    parts = []
    records = [node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]
    for node in records:
        if not node.name.endswith(("Section", "Gate", "Bounds")) or node.name in ("Section", "GateSection"):
            continue
        fields = [each for each in node.body if isinstance(each, ast.AnnAssign)]
        title = " ".join((ast.get_docstring(node) or "").split())
        if node.name.endswith("Gate"):
            title = f'`kind = "{getattr(project_types, node.name).__struct_config__.tag}"`: {title}'
        rows = [_key(each, lines) for each in fields]
        parts.append("\n".join([title, "", "| key | value | default | |", "|---|---|---|---|", *rows, ""]))
    return "\n" + "\n".join(parts) + "\n"


def _key(field: ast.AnnAssign, lines: list[str]) -> str:
    assert isinstance(field.target, ast.Name)
    assert field.end_lineno is not None
    _, _, comment = lines[field.end_lineno - 1].partition("  # ")
    kind, default = ast.unparse(field.annotation), ast.unparse(field.value) if field.value else None
    name = field.target.id
    if renamed := re.search(r"name='(\w+)'", default or ""):
        name = renamed[1]
    shown = "required" if default is None else _default(default)
    return f"| `{name}` | {_cell(_kind(kind))} | {_cell(shown)} | {_cell(comment)} |"


def _kind(annotation: str) -> str:
    plain = annotation.removesuffix(" | None")
    if limited := re.match(r"Annotated\[(\w+),", plain):
        plain = limited[1]
    if plain in ("Task", "Strategy", "Decide", "CheckAction", "ColumnType"):
        plain = "Literal" + str(list(getattr(project_types, plain).__args__))
    if plain.startswith("Literal["):
        return ", ".join(f"`{each}`" for each in re.findall(r"'([^']+)'", plain))
    if many := re.fullmatch(r"tuple\[(\w+), \.\.\.\]", plain):
        return f"list of {_READABLE.get(many[1], many[1].removesuffix('Section').lower() + 's')}"
    if plain == "tuple[str | dict[str, Any], ...]":
        return "list of texts and tables"
    if plain.startswith("tuple["):
        return "two values"
    if plain.startswith("dict["):
        return "table"
    return _READABLE.get(plain, plain.removesuffix("Section").removesuffix("Bounds").lower() + " table")


def _default(text: str) -> str:
    if text in ("None", "()", "''", "field(default_factory=dict)") or "default=()" in text:
        return ""
    if text.startswith("Rate("):
        return "`" + re.sub(r"Rate\((\d+), timedelta\(days=(\d+)\)\)", r"\1 per \2d", text) + "`"
    if text.startswith("timedelta("):
        return "`" + re.sub(r"timedelta\((\w)\w*=(\d+)\)", r"\2\1", text) + "`"
    plain = text.replace("(", "[").replace(")", "]").replace("'", '"').lower()
    return "" if text.endswith("()") else f"`{plain}`"


def routes() -> str:
    """Every route, by service."""
    parts = []
    for service, table in ROUTES.items():
        rows = [
            f"| `{route.method} {route.path}` | {_cell(route.verb.doc.partition(chr(10))[0])} "
            f"| `{service}.{route.verb.name}` | {route.needs.name.lower()} |"
            for route in table
        ]
        parts.append(f"### {service}\n\n| | | in Python | needs |\n|---|---|---|---|\n" + "\n".join(rows) + "\n")
    return "\n" + "\n".join(parts) + "\n"


def error_codes() -> str:
    """Every error code with its status."""
    rows = [
        f"| `{code}` | {kind.http_status} | {_cell((kind.__doc__ or '').partition(chr(10))[0])} |"
        for code, kind in errors.ERRORS.items()
    ]
    return "\n| code | status | |\n|---|---|---|\n" + "\n".join(rows) + "\n\n"


def names() -> str:
    """Every public name with its first line."""
    rows = []
    for name in penstock.__all__:
        value = getattr(penstock, name)
        is_function = inspect.isfunction(value)
        signature = str(inspect.signature(value)) if is_function else ""
        arguments = ", ".join(inspect.signature(value).parameters) if is_function else ""
        shown = f"{name}({arguments})" if signature else name
        rows.append(f"| `{shown}` | {_cell((inspect.getdoc(value) or '').partition(chr(10))[0])} |")
    return "\n| name | |\n|---|---|\n" + "\n".join(rows) + "\n\n"


def failpoint_names() -> dict[str, list[str]]:
    """Every fail-point of the source with the files it stands in."""
    found: dict[str, list[str]] = {}
    for path, text in _sources():
        for name in _HIT.findall(text):
            if path not in found.setdefault(name, []):
                found[name].append(path)
    return dict(sorted(found.items()))


def failpoints() -> str:
    """Every fail-point with its file."""
    rows = [f"| `{name}` | {', '.join(f'`{path}`' for path in paths)} |" for name, paths in failpoint_names().items()]
    return "\n| fail-point | in |\n|---|---|\n" + "\n".join(rows) + "\n\n"


def _sources() -> Iterator[tuple[str, str]]:
    for path in sorted(SOURCE.rglob("*.py")):
        yield path.relative_to(SOURCE).as_posix(), path.read_text()


def _cell(text: str) -> str:
    return " ".join(str(text).split()).replace("|", "\\|")


PARTS: dict[str, Callable[[], str]] = {
    "commands": commands,
    "settings": settings,
    "sections": sections,
    "routes": routes,
    "error-codes": error_codes,
    "names": names,
    "fail-points": failpoints,
}

if __name__ == "__main__":
    sys.exit(main())
