"""The entry point: finds the command's file, and turns every refusal into one clear message."""

import errno
import gc
import logging
import os
import sys
import traceback
from typing import Any, ClassVar

import typer

from penstock.cli.apps import LazyGroup
from penstock.core import codec
from penstock.core.errors import InvalidInputError, NotFoundError, PenstockError, StorageFullError, UnavailableError

# name: (section, file, one line of help); a command's file is imported only when it is called
COMMANDS: dict[str, tuple[str, str, str]] = {
    "init": ("Start", "init", "Write a project that runs, from a table of your own."),
    "demo": ("Start", "demo", "Watch a product-suggestion model live through the whole loop."),
    "server": ("Start", "server", "Run a tracking server that needs no project, for any MLflow client."),
    "up": ("Start", "up", "Start this project: server, web page, gateway, controller, worker."),
    "stop": ("Start", "stop", "Stop what 'penstock up' started here."),
    "status": ("Start", "status", "Which of the seven stages hold, and the evidence."),
    "run": ("Train and release", "run", "Data, pipeline, evaluation, gates, registry, rollout."),
    "runs": ("Train and release", "runs", "List, show and compare runs."),
    "sync": ("Train and release", "sync", "Deliver what runs logged while no server could be reached."),
    "import": ("Train and release", "import_", "Take over an MLflow server, folder or database."),
    "models": ("Train and release", "models", "List, show, vouch for and sign models."),
    "promote": ("Train and release", "promote", "Point an alias at a model version."),
    "deploy": ("Train and release", "deploy", "Release a model version, directly or as a canary."),
    "rollback": ("Train and release", "rollback", "Send all traffic back to the revision before."),
    "data": ("Data", "data", "Add, check, list and compare dataset versions."),
    "serve": ("Serve and watch", "serve", "Answer predictions of one model on one port, without a project."),
    "predict": ("Serve and watch", "predict", "Ask the deployed model."),
    "outcomes": ("Serve and watch", "outcomes", "Tell what really happened after predictions."),
    "monitor": ("Serve and watch", "monitor", "Windows of drift and performance, and alerts."),
    "alerts": ("Serve and watch", "alerts", "Incidents: who was told, acknowledge, silence, resolve."),
    "drift": ("Serve and watch", "drift", "Has a table moved away from another? Two files compared."),
    "replay": ("Serve and watch", "replay", "Compare policies of retraining on a whole history."),
    "episodes": ("Serve and watch", "episodes", "What set the loop off, and all that was done about it."),
    "audit": ("Trust", "audit", "List audit events, or verify their chain."),
    "lineage": ("Trust", "lineage", "What something came from, or what came from it."),
    "tokens": ("Trust", "tokens", "Make, list and revoke the tokens of a server."),
    "gc": ("Trust", "gc", "Delete what nothing refers to any more."),
    "why-kept": ("Trust", "why_kept", "What refers to an object, and the way down to it."),
    "verify": ("Trust", "verify", "Read every stored object again and check it."),
}


FAILURES = {"drift": 2}  # exit codes of commands that say something with 1
INTERRUPTED = 130  # the exit code of a program that Ctrl-C ended
FREE = "free some space and try again"
TRACE = "PENSTOCK_TRACE"  # any value: where an error came from is printed with it


class Program(LazyGroup):
    """All commands, in sections."""

    package = "penstock.cli"
    files: ClassVar = {name: file for name, (_, file, _) in COMMANDS.items()}
    texts: ClassVar = {name: text for name, (_, _, text) in COMMANDS.items()}

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that the first argument names; a wrong one is answered with the nearest."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            raise InvalidInputError(f"there is no command {args[0]!r}", hint=codec.nearest_hint(args[0], COMMANDS))
        return super().resolve_command(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """The help page, from the table alone."""
        lines = ["Usage: penstock COMMAND [OPTIONS]", "", "The whole life of a model as one loop.", ""]
        section = ""
        for name, (group, _, text) in COMMANDS.items():
            if group != section:
                lines += [*([""] if section else []), f"{group}:"]
                section = group
            lines.append(f"  {name:<10} {text}")
        lines += [
            "",
            "'penstock COMMAND --help' explains one; every command takes --json.",
            "Start with 'penstock demo', or 'penstock init --data FILE --label COLUMN'.",
        ]
        formatter.write("\n".join(lines) + "\n")


app = typer.Typer(cls=Program, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version as installed_version  # takes longer than most commands

        typer.echo(f"penstock {installed_version('penstock')}")
        raise typer.Exit


@app.callback()
def penstock(
    version: bool = typer.Option(False, "--version", is_eager=True, callback=_print_version, help="Print the version."),
) -> None:
    """The whole life of a model as one loop."""


def main() -> None:
    """The program `penstock`."""
    # Training and serving share the cores: threads of a numeric library that wait for each other sleep and do not spin.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    logging.getLogger("penstock").addHandler(logging.NullHandler())  # commands say themselves what matters
    code = run(sys.argv[1:])
    try:
        sys.stdout.flush()
    except BrokenPipeError:  # `penstock ... | head`; the interpreter would complain when it flushes again at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    gc.freeze()  # looking for circles in what ends with the process takes as long as a small command
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """Run a command line; returns the exit code. Every refusal is one message on standard error and exit code 1."""
    try:
        code = app(arguments, prog_name="penstock", standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except BrokenPipeError:  # whoever read what we print has gone
        return 1
    except Exception as error:  # the outermost loop: nobody should have to read a trace
        if os.environ.get(TRACE):
            traceback.print_exc()
        return max(report(_explain(error), as_json="--json" in arguments), FAILURES.get((*arguments, "")[0], 0))
    if code == INTERRUPTED:
        sys.stderr.write("\ninterrupted\n")
    return int(code or 0)


def _explain(error: Exception) -> PenstockError:
    """Any failure as one that says what to do."""
    match error:
        case PenstockError():
            return error
        case typer.TyperException():
            return _misused(error)
        case OSError(errno=errno.ENOSPC) | OSError(errno=errno.EDQUOT):
            return StorageFullError(f"there is no room left to write {error.filename or 'to the disk'}", hint=FREE)
        case FileNotFoundError():
            return NotFoundError(f"there is no {error.filename}")
        case OSError() if error.filename is not None:
            return UnavailableError(f"{error.filename} cannot be used: {(error.strerror or str(error)).lower()}")
    if getattr(error, "orig", None) is not None:  # a database's own error, inside SQLAlchemy's
        return UnavailableError(f"the database cannot be used: {error.orig}")  # type: ignore[attr-defined]
    told = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return PenstockError(f"penstock failed, which it should not: {told}", hint=f"{TRACE}=1 shows where")


def _misused(error: typer.TyperException) -> InvalidInputError:
    """A command line that does not fit the command."""
    describe = getattr(error, "format_message", error.__str__)
    text = str(describe()).removesuffix(".")
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "penstock"
    return InvalidInputError(text[:1].lower() + text[1:], hint=f"'{command} --help' says what it takes")


def report(error: PenstockError, *, as_json: bool) -> int:
    """Print an error for people, or for programs; returns the exit code."""
    if as_json:
        body = {"error_code": error.code, "message": error.message, "hint": error.hint}
        sys.stderr.write(codec.encode_text(body) + "\n")
        return 1
    bold, plain = ("\033[1;31m", "\033[0m") if sys.stderr.isatty() and "NO_COLOR" not in os.environ else ("", "")
    sys.stderr.write(f"{bold}error:{plain} {error.message}\n")
    if error.hint:
        sys.stderr.write(f"  {error.hint}\n")
    return 1
