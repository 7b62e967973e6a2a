"""The command line: `feed` a file, make a `synthetic` portfolio, list the `columns` of a shape.

Exit codes: 0 fed (or already fed; wrong rows are reported), 1 client-service or Kafka stayed away or refused, 2 the
file or the parameters are refused, 130 stopped by Ctrl-C. After 1 and 130 the same command goes on where it stopped.
"""

import asyncio
import time
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from contracts.bank.ledger import LEDGER
from ledger_feed.feeding import COLUMNS, Feed, Outcome, ShapeName, Watcher, feed
from ledger_feed.progress import Refused, default_directory
from ledger_feed.publishing import Kafka, KafkaAway
from ledger_feed.rows import FileRefused, Row, RowError
from ledger_feed.sellers import ClientService, NotRegistered
from ledger_feed.sequence import Drill
from ledger_feed.shape import Book
from ledger_feed.synthetic import Portfolio

AWAY: Final = 1
REFUSED: Final = 2
STOPPED: Final = 130
SHOWN: Final = 5

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_show_locals=False)
console = Console(stderr=True)


class _Bar(Watcher):
    """A progress bar, and messages above it."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._task: TaskID | None = None

    def say(self, text: str) -> None:
        self._bar.console.print(text, style="yellow", markup=False)

    def checked(self, total: int, position: int) -> None:
        if position:
            self.say(f"Going on after event {position:,} of {total:,}.")
        self._task = self._bar.add_task("publishing", total=total, completed=position)

    def reached(self, position: int) -> None:
        if self._task is not None:
            self._bar.update(self._task, completed=position)


@app.command("feed")
def feed_file(
    file: Annotated[Path, typer.Argument(help="CSV, or CSV.gz, UTF-8, with a header line.")],
    shape: Annotated[ShapeName, typer.Option(help="What the columns mean; see `columns`.")],
    entity: Annotated[str, typer.Option(help="The legal entity whose book this is, e.g. DEMO-FACTOR.")],
    currency: Annotated[str, typer.Option(help="ISO 4217 code of all amounts.")],
    system: Annotated[str, typer.Option(help="Code of the system whose party numbers the file carries; no colon.")],
    branch: Annotated[str | None, typer.Option(help="The branch, if there is one.")] = None,
    term_days: Annotated[int | None, typer.Option(min=0, max=3650, help="vat-invoices: days till due.")] = None,
    seller: Annotated[str, typer.Option(help="payments: the number of the one seller.")] = "SELLER",
    sellers: Annotated[
        Path | None, typer.Option(help="Names for registering: a portfolio's manifest, or a CSV with client,name.")
    ] = None,
    client_api: Annotated[str | None, typer.Option(envvar="CLIENT_API", help="client-service's address.")] = None,
    token: Annotated[str | None, typer.Option(envvar="LEDGER_FEED_TOKEN", help="Bearer token for it.")] = None,
    token_file: Annotated[Path | None, typer.Option(help="File that holds the bearer token.")] = None,
    register: Annotated[bool, typer.Option("--register/--no-register", help="Register sellers before feeding.")] = True,
    bootstrap: Annotated[str, typer.Option(envvar="KAFKA_BOOTSTRAP", help="Kafka's address.")] = "127.0.0.1:19092",
    topic: Annotated[str, typer.Option(help="The topic of the ledger's events.")] = LEDGER.topic.name,
    rate: Annotated[float | None, typer.Option(min=0.1, help="At most so many events a second.")] = None,
    state_dir: Annotated[
        Path | None, typer.Option(envvar="LEDGER_FEED_STATE_DIR", help="Where is remembered how far a file was fed.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write wrong and odd rows here (.csv or .json).")] = None,
    patience: Annotated[float, typer.Option(min=0, help="Seconds to wait for Kafka or client-service.")] = 120.0,
    security_protocol: Annotated[str, typer.Option(envvar="KAFKA_SECURITY_PROTOCOL")] = "PLAINTEXT",
    sasl_mechanism: Annotated[str, typer.Option(envvar="KAFKA_SASL_MECHANISM")] = "PLAIN",
    sasl_username: Annotated[str | None, typer.Option(envvar="KAFKA_SASL_USERNAME")] = None,
    sasl_password: Annotated[str | None, typer.Option(envvar="KAFKA_SASL_PASSWORD", show_default=False)] = None,
    ca_file: Annotated[Path | None, typer.Option(envvar="KAFKA_SSL_CAFILE", help="CA certificates for Kafka.")] = None,
    withhold: Annotated[list[int] | None, typer.Option(help="Drill: keep this row's events off the bus.")] = None,
    alter: Annotated[list[str] | None, typer.Option(help="Drill: ROW=AMOUNT, publish this amount instead.")] = None,
) -> None:
    """Publish a file of invoices as the ledger's events, in business-time order, each client's days closed."""
    try:
        what = Feed(
            file=file,
            shape=shape,
            book=Book(entity, currency, system, branch),
            term_days=term_days,
            seller=seller,
            drill=Drill(frozenset(withhold or ()), dict(map(_alteration, alter or ()))),
            topic=topic,
        )
        kafka = Kafka(bootstrap, security_protocol, sasl_mechanism, sasl_username, sasl_password, ca_file, patience)
        with _progress() as bar:
            watcher = _Bar(bar)
            clients = _clients(client_api, token, token_file, watcher, patience) if register else None
            started = time.monotonic()
            outcome = asyncio.run(
                feed(
                    what,
                    kafka,
                    state_dir or default_directory(),
                    clients=clients,
                    descriptions=sellers,
                    report=report,
                    rate=rate,
                    watcher=watcher,
                )
            )
        _tell(what, outcome, report, time.monotonic() - started)
    except (FileRefused, Refused) as refused:
        console.print(str(refused), style="red", markup=False)
        raise typer.Exit(REFUSED) from None
    except OSError as error:
        console.print(f"A file cannot be read or written: {error}", style="red", markup=False)
        raise typer.Exit(REFUSED) from None
    except (NotRegistered, KafkaAway) as away:
        console.print(str(away), style="red", markup=False)
        raise typer.Exit(AWAY) from None
    except KeyboardInterrupt:
        console.print("Stopped. The same command goes on from where it was acknowledged.", style="yellow")
        raise typer.Exit(STOPPED) from None


@app.command()
def synthetic(
    out: Annotated[Path, typer.Option(help="The CSV to write (.csv or .csv.gz); a .manifest.json stands beside it.")],
    seed: Annotated[int, typer.Option(help="Another seed, another portfolio.")] = 1,
    anchor: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Its last day; else today.")] = None,
    clients: Annotated[int, typer.Option(min=4, max=200)] = 20,
    debtors: Annotated[int, typer.Option(min=12, max=2000)] = 40,
    months: Annotated[int, typer.Option(min=18, max=60)] = 21,
) -> None:
    """Write a made-up portfolio, labelled synthetic: the same options give the same file, to the bit."""
    day = (anchor or datetime.now()).date()  # noqa: DTZ005 the person's own today is meant
    portfolio = Portfolio(seed=seed, anchor=day, clients=clients, debtors=debtors, months=months)
    manifest = portfolio.write(out)
    console.print(f"{out}: {manifest['rows']:,} postings, SHA-256 {manifest['sha256']}", highlight=False)


@app.command()
def columns(shape: Annotated[ShapeName, typer.Argument()]) -> None:
    """List the columns a shape needs; others are passed over."""
    Console().print("\n".join(COLUMNS[shape]), markup=False, highlight=False)


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console
    )


def _alteration(text: str) -> tuple[int, Decimal]:
    row, _, amount = text.partition("=")
    try:
        return int(row), Row(0, {"amount": amount}).amount("amount")
    except (ValueError, RowError):
        raise Refused(f"--alter takes ROW=AMOUNT, not {text!r}.") from None


def _clients(
    url: str | None, token: str | None, token_file: Path | None, bar: Watcher, patience: float
) -> ClientService:
    if token_file:
        try:
            token = token_file.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise Refused(f"The token cannot be read: {error}") from None
    if not url or not token:
        raise Refused(
            "Sellers are registered with client-service first: give --client-api and --token (or --token-file), "
            "or --no-register if they are registered already."
        )
    return ClientService(url, token, bar.say, patience=patience)


def _tell(what: Feed, outcome: Outcome, report: Path | None, seconds: float) -> None:
    if outcome.already:
        console.print(f"{what.file.name} is already fed: nothing to do.", style="green", markup=False)
        return
    table = Table("kind", "events", f"total {what.book.currency}", title=f"{what.file.name} → {what.topic}")
    for column in table.columns[1:]:
        column.justify = "right"
    for kind, count in sorted(outcome.kinds.items()):
        table.add_row(kind, f"{count:,}", f"{outcome.totals[kind]:,.2f}" if kind in outcome.totals else "")
    console.print(table)
    console.print(
        f"{outcome.rows:,} rows, {outcome.sellers:,} sellers ({outcome.registered:,} newly registered), "
        f"{outcome.sent:,} events published in {seconds:.1f} s.",
        highlight=False,
    )
    findings = outcome.report
    if findings.errors or findings.warnings:
        console.print(
            f"{findings.errors:,} wrong rows not fed, {findings.warnings:,} odd rows fed all the same"
            + (f": see {report}." if report else "; --report FILE lists all of them."),
            style="yellow",
            markup=False,
        )
        for finding in findings.findings[:SHOWN]:
            console.print(f"  row {finding.row} {finding.severity} {finding.field}: {finding.reason}", markup=False)
