"""The picture of a replay: a line of blocks in a terminal, and a page with a chart."""

from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path

from penstock.loop.replay.run import ChunkResult, PolicyResult
from penstock.server.web.drawings.charts import Point, Series, line_chart

_BLOCKS = "▁▂▃▄▅▆▇█"
MOST_TOLD = 12  # retrains of a policy that are named


def draw_line(values: Sequence[float], low: float, high: float) -> str:
    """Values as blocks, the lowest at `low` and the highest at `high`."""
    span = (high - low) or 1.0
    return "".join(_BLOCKS[min(int((value - low) / span * len(_BLOCKS)), len(_BLOCKS) - 1)] for value in values)


def write_picture(path: Path, results: Mapping[str, PolicyResult], label: str) -> None:
    """A page that stands for itself: the score of each policy chunk by chunk, and its figures."""
    metric = next(iter(results.values())).metric
    series = [
        Series(name, [Point(number, chunk.score, note=_note(chunk)) for number, chunk in enumerate(result.chunks)])
        for name, result in results.items()
    ]
    chart = line_chart(series, title=f"{metric} of {label}, chunk by chunk", unit=metric, axis="chunk")
    style = files("penstock.server.web").joinpath("static", "style.css").read_text(encoding="utf-8")
    rows = "".join(_row(name, result) for name, result in results.items())
    heads = "".join(f'<th class="num">{name}</th>' for name in (metric, "AUC", "retrains", "fits", "CPU s of fits"))
    title = f"Replay of {escape(label)}"
    path.write_text(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{style}</style></head><body><main><h1>{title}</h1>"
        f'<p class="lead">The same history lived through under each policy, {escape(metric)} chunk by chunk. '
        "Fits count every model that was trained, probes and refused ones included.</p>"
        f'<section class="card">{chart}</section>'
        f'<section class="card"><h2>In all</h2><div class="scroll"><table><thead><tr><th>policy</th>{heads}'
        f"<th>retrained before chunk</th></tr></thead><tbody>{rows}</tbody></table></div></section>"
        "</main></body></html>\n",
        encoding="utf-8",
    )


def _note(chunk: ChunkResult) -> str:
    return f"retrained: {chunk.note}" if chunk.refit else ""


def _row(name: str, result: PolicyResult) -> str:
    area = "–" if result.auc is None else f"{result.auc:.4f}"
    figures = (f"{result.score:.4g}", area, result.refits, result.fits, f"{result.fit_cpu_s:.1f}")
    cells = "".join(f'<td class="num">{cell}</td>' for cell in figures)
    return f"<tr><td><b>{escape(name)}</b></td>{cells}<td>{_tell_retrains(result)}</td></tr>"


def _tell_retrains(result: PolicyResult) -> str:
    """When, if there were few; else how often."""
    at = [number for number, chunk in enumerate(result.chunks) if chunk.refit]
    if len(at) == len(result.chunks) - 1:
        return "every one"
    return ", ".join(map(str, at[:MOST_TOLD])) + (f" and {len(at) - MOST_TOLD} more" if len(at) > MOST_TOLD else "")
