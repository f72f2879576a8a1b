"""What code a step consists of: its function, what that uses of its module, and the project modules it imports."""

import ast
from collections.abc import Iterator
from pathlib import Path

from blake3 import blake3

from penstock.core.errors import InvalidInputError, NotFoundError

_DEFINITION = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_BINDING = _DEFINITION | ast.Import | ast.ImportFrom
_MAIN_GUARD = "__name__ == '__main__'"


class ProjectCode:
    """The modules below a project's folder, read once; installed packages belong to the environment instead.

    Args:
        root: the folder that module names are found from.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._trees: dict[str, ast.Module | None] = {}

    def digests(self, function: str) -> dict[str, str]:
        """What a function consists of: its own part of its module, and whole modules that this part imports.

        Comments, layout and docstrings do not count, nor do other functions of its module that it does not use.

        Args:
            function: module:name.

        Returns:
            Digest by name: the function itself under `module:name`, each imported module under its own.

        Raises:
            NotFoundError: the project has no such module or function.
        """
        module, _, name = function.partition(":")
        tree = self._tree(module)
        if tree is None:
            raise NotFoundError(f"there is no module {module!r} in {self._root}")
        nodes = _used_statements(tree, name)
        if not nodes:
            raise NotFoundError(f"module {module!r} defines no {name!r}")
        imported: set[str] = set()
        for node in nodes:
            self._follow(node, module, imported)
        imported.discard(module)
        texts = {function: _text(nodes)} | {each: _text(self._statements(each)) for each in imported}
        return {key: blake3(text.encode()).hexdigest() for key, text in sorted(texts.items())}

    def fingerprint(self, module: str) -> str:
        """Digest of a module and of every project module below it as they are written, decorators and all."""
        texts = {
            name: ast.dump(tree) for name in sorted(self._modules(module)) if (tree := self._tree(name)) is not None
        }
        return blake3(repr(texts).encode()).hexdigest()

    def libraries(self, module: str, *, with_steps: bool = False) -> tuple[str, ...]:
        """What a module and every project module below it import when they are imported, other than each other.

        Args:
            module: its name.
            with_steps: add what steps import when they run.

        Returns:
            Names of modules, in their order; of `from a import b` both `a` and `a.b`, which may be no module.
        """
        names: dict[str, None] = {}
        for own in [module, *sorted(self._modules(module) - {module})]:
            for statement in self._statements(own):
                for inner in _executed(statement, with_steps):
                    if isinstance(inner, ast.Import | ast.ImportFrom):
                        names |= dict.fromkeys(self._imports(inner, own))
        return tuple(name for name in names if self._is_library(name.partition(".")[0]))

    def _modules(self, module: str) -> set[str]:
        """A module and every project module below it."""
        found = {module}
        for statement in self._statements(module):
            self._follow(statement, module, found)
        return found

    def _is_library(self, package: str) -> bool:
        return package != "__future__" and self._tree(package) is None

    def _follow(self, node: ast.AST, module: str, found: set[str]) -> None:
        for name in self._imports(node, module):
            if name in found or self._tree(name) is None:
                continue
            found.add(name)
            for statement in self._statements(name):
                self._follow(statement, name, found)

    def _imports(self, node: ast.AST, module: str) -> Iterator[str]:
        """The names of all modules that a statement may import, packages above them included."""
        for inner in ast.walk(node):
            if isinstance(inner, ast.Import):
                for alias in inner.names:
                    yield from _with_packages(alias.name)
            elif isinstance(inner, ast.ImportFrom):
                base = self._resolve(inner, module)
                yield from _with_packages(base)
                yield from (f"{base}.{alias.name}" for alias in inner.names)

    def _resolve(self, node: ast.ImportFrom, module: str) -> str:
        if not node.level:
            return node.module or ""
        is_package = (self._root / module.replace(".", "/") / "__init__.py").is_file()
        parts = module.split(".")
        package = parts[: len(parts) - node.level + is_package]
        return ".".join([*package, *filter(None, [node.module])])

    def _statements(self, module: str) -> list[ast.stmt]:
        tree = self._tree(module)
        return tree.body if tree is not None else []

    def _tree(self, module: str) -> ast.Module | None:
        if module not in self._trees:
            self._trees[module] = self._parse(module)
        return self._trees[module]

    def _parse(self, module: str) -> ast.Module | None:
        parts = module.split(".")
        if not all(part.isidentifier() for part in parts):
            return None
        place = self._root.joinpath(*parts)
        for file in (place.with_suffix(".py"), place / "__init__.py"):
            if file.is_file():
                try:
                    return ast.parse(file.read_bytes(), filename=str(file))
                except (SyntaxError, ValueError) as error:
                    raise InvalidInputError(f"{file} is no Python: {error}") from error
        return None


def _used_statements(tree: ast.Module, name: str) -> list[ast.stmt]:
    """The statements of a module that a name needs, in their order; none when the module does not define it."""
    statements = [node for node in tree.body if not _is_passive(node)]
    binds = {id(node): _bound_names(node) for node in statements}
    used: set[int] = set()
    wanted = [name]
    seen = {name}
    if not any(name in binds[id(node)] for node in statements):
        return []
    while wanted:
        current = wanted.pop()
        for node in statements:
            # A statement that binds nothing, such as a call that sets an option, may matter to everything.
            if id(node) in used or (current not in binds[id(node)] and binds[id(node)]):
                continue
            used.add(id(node))
            more = _names_in(node) - seen
            seen |= more
            wanted += sorted(more)
    return [node for node in statements if id(node) in used]


def _is_passive(node: ast.stmt) -> bool:
    """Docstrings, and what runs only when the file is started as a program."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    return isinstance(node, ast.If) and ast.unparse(node.test) == _MAIN_GUARD


def _executed(node: ast.stmt, with_steps: bool) -> list[ast.stmt]:
    """What is executed for sure: not what any function or `if TYPE_CHECKING` holds."""
    if with_steps and isinstance(node, _DEFINITION) and any(map(_is_step, node.decorator_list)):
        return node.body
    return node.body if isinstance(node, ast.Try) else [node]


def _bound_names(node: ast.stmt) -> frozenset[str]:
    if isinstance(node, _DEFINITION):
        return frozenset((node.name,))
    if isinstance(node, ast.Import | ast.ImportFrom):
        return frozenset((alias.asname or alias.name).partition(".")[0] for alias in node.names)
    names: set[str] = set()
    for inner in ast.walk(node):  # an assignment, or a block such as `try: import x`
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
            names.add(inner.id)
        elif inner is not node and isinstance(inner, _BINDING):
            names |= _bound_names(inner)
    return frozenset(names)


def _names_in(node: ast.stmt) -> set[str]:
    return {inner.id for inner in ast.walk(_bare(node)) if isinstance(inner, ast.Name)}


def _text(nodes: list[ast.stmt]) -> str:
    return "\n".join(ast.unparse(_bare(node)) for node in nodes if not _is_passive(node))


def _bare(node: ast.stmt) -> ast.stmt:
    """The statement without docstrings, and without `@step(...)`: how often it is retried is not what it computes."""
    copy = ast.parse(ast.unparse(node)).body[0]
    for inner in ast.walk(copy):
        if isinstance(inner, _DEFINITION):
            inner.decorator_list = [each for each in inner.decorator_list if not _is_step(each)]
            if ast.get_docstring(inner) is not None:
                inner.body = inner.body[1:] or [ast.Pass()]
    return copy


def _is_step(decorator: ast.expr) -> bool:
    target = decorator.func if isinstance(decorator, ast.Call) else decorator
    name = target.attr if isinstance(target, ast.Attribute) else target.id if isinstance(target, ast.Name) else ""
    return name in ("step", "pipeline")


def _with_packages(module: str) -> Iterator[str]:
    parts = module.split(".") if module else []
    for length in range(1, len(parts) + 1):
        yield ".".join(parts[:length])
