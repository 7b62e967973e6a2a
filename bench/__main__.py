"""`./crm run python -m bench [NAME …]`: measure, print, and write bench/results.json."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from bench import consumer, post, relay, whole
from bench.figures import Figure, keep, load_note, show, tell
from bench.servers import servers

NAMES = ("relay", "consumer", "post", "effect", "feed", "capacity")


async def measured(name: str, chosen: argparse.Namespace) -> list[Figure]:
    """One benchmark on servers of its own."""
    runs, count = chosen.runs, chosen.count
    match name:
        case "relay":
            async with servers() as started:
                return await relay.run(started, runs=runs, count=count or 200_000, latencies=chosen.latencies)
        case "consumer":
            async with servers() as started:
                return await consumer.run(started, runs=runs, count=count or 200_000)
        case "post":
            async with servers() as started:
                return await post.run(started, runs=runs, count=count or 4_000)
        case "effect":
            return await whole.commit_to_effect(runs=runs, seconds=(count or 500) / 50)
        case "feed" | "capacity":
            note = load_note()
            sizes = chosen.sizes if name == "capacity" else [count or 1_000_000]
            stages = await whole.fed(whole.data_directory(chosen.data), sizes)
            return whole.capacity_figures(stages) if name == "capacity" else whole.feed_figures(stages, note)
        case _:
            raise SystemExit(f"There is no {name}; there are {', '.join(NAMES)}.")


async def main(chosen: argparse.Namespace) -> None:
    """Those that were named, one after the other."""
    for name in chosen.names or NAMES:
        tell(f"{name}:")
        figures = await measured(name, chosen)
        for figure in figures:
            show(figure)
        if not chosen.try_out:
            keep(figures)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="./crm run python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)} (default: all)")
    parser.add_argument("--runs", type=int, default=5, help="alternating turns of each side (default: %(default)s)")
    parser.add_argument("--count", type=int, help="rows, events or requests in a turn")
    parser.add_argument("--latencies", type=int, default=200, help="single rows in a turn (default: %(default)s)")
    parser.add_argument("--data", type=Path, help="the directory of the real invoices (or FACTORING_CRM_DATA)")
    parser.add_argument(
        "--sizes", type=lambda text: [int(part) for part in text.split(",")], default=[1_000, 10_000, 100_000],
        help="capacity: rows of each part of the feed, separated by commas",
    )  # fmt: skip
    parser.add_argument("--try-out", action="store_true", help="do not write results.json")
    asyncio.run(main(parser.parse_args()))  # not uvloop, which starts no process as another user
