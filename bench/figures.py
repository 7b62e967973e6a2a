"""What is measured, as it is printed and kept: ours beside the peer, over alternating runs, with the spread."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

RESULTS = Path(__file__).with_name("results.json")
BUSY = 0.7


@dataclass(frozen=True)
class Figure:
    """`ratio` is ours / peer; `aim` is what the ratio is to be ("≥ 1.2"), None where the figure stands alone.

    `spread` is the least and the greatest of each side's runs; the ratio is that of the medians.
    """

    name: str
    unit: str
    ours: float
    peer: float | None
    peer_name: str
    ratio: float | None
    aim: str | None
    met: bool | None
    runs: int
    spread: dict[str, list[float]]
    command: str
    note: str = ""


def compare(
    name: str,
    unit: str,
    ours: Sequence[float],
    peer: Sequence[float],
    peer_name: str,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
    note: str = "",
) -> Figure:
    """The medians of both sides and whether their ratio reaches its aim."""
    ratio = median(ours) / median(peer) if peer else None
    aim = f"≥ {at_least}" if at_least is not None else f"≤ {at_most}" if at_most is not None else None
    met = None
    if ratio is not None and aim is not None:
        met = ratio >= at_least if at_least is not None else ratio <= (at_most or 0)
    return Figure(
        name,
        unit,
        rounded(median(ours)),
        rounded(median(peer)) if peer else None,
        peer_name,
        rounded(ratio) if ratio is not None else None,
        aim,
        met,
        len(ours),
        {"ours": spread(ours), "peer": spread(peer)},
        "./crm run python -m bench " + " ".join(sys.argv[1:]),
        note,
    )


def spread(values: Sequence[float]) -> list[float]:
    """The least and the greatest; empty without values."""
    return [rounded(min(values)), rounded(max(values))] if values else []


def rounded(value: float) -> float:
    """Three digits that mean something."""
    return round(value) if abs(value) >= 1000 else float(f"{value:.3g}")


def percentile(values: Sequence[float], share: float) -> float:
    """By nearest rank."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def tell(text: str) -> None:
    """A line for whoever watches."""
    print(text, flush=True)


def show(figure: Figure) -> None:
    """One figure, on one line."""
    peer = (
        ""
        if figure.peer is None
        else f"{figure.peer_name} {figure.peer:g} {figure.spread['peer']}, ratio {figure.ratio:g}"
    )
    aim = "" if figure.aim is None else f" (aim {figure.aim}: {'met' if figure.met else 'MISSED'})"
    tell(f"  {figure.name}: {figure.ours:g} {figure.unit} {figure.spread['ours']} {peer}{aim} {figure.note}".rstrip())


def keep(figures: Sequence[Figure]) -> None:
    """Write them into results.json in the place of what stood there under their names."""
    there: list[dict[str, Any]] = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else []
    new = {figure.name: asdict(figure) for figure in figures}
    merged = [new.pop(each["name"], each) for each in there] + list(new.values())
    RESULTS.write_text(json.dumps(merged, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def load_note() -> str:
    """Says so when the machine was busy with something else before the run."""
    load = os.getloadavg()[0]
    return "" if load < BUSY else f"[the machine was busy before: load {load:.1f}]"
