"""Takes each rail out in turn and says which tests went red: `python libs/eventing/tests/take_out.py [NAME…]`.

A rail that can be taken out with every test green is not held by a test, and the command fails. The patches are made in
a copy of the package; with all of them run, the table goes to docs/rails.md.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
SOURCE = HERE.parent / "src" / "eventing"
HEAD = """# The rails, and what holds them

Written by `python libs/eventing/tests/take_out.py [NAME…]`, which takes each rail out in turn (in a copy of the
package) and runs the tests that should notice, on real PostgreSQL and real Kafka.

| without this rail | these tests go red |
| --- | --- |
"""


@dataclass(frozen=True)
class Rail:
    """A rail, the text that makes it, what stands there without it, and where its tests are."""

    name: str
    file: str
    old: str
    new: str
    tests: str


RAILS = (
    Rail("the outbox comes last in its transaction", "session.py", "        session.flush()\n", "", "test_outbox.py"),
    Rail("numbers come from a sequence with CACHE 1", "schema.py", "CACHE 1", "CACHE 20", "test_outbox.py"),
    Rail(
        "a rolled-back savepoint takes its events with it",
        "session.py",
        "            del session.info.get(_LAST, [])[kept:]\n",
        "            del kept\n",
        "test_outbox.py",
    ),
    Rail(
        "what is rolled back is not told",
        "session.py",
        "            session.info.pop(_LAST, None)\n",
        "            pass\n",
        "test_outbox.py",
    ),
    Rail(
        "NOTIFY is outside the transaction, on a connection of its own",
        "session.py",
        "            session.connection().exec_driver_sql(statement, parameters)\n",
        "            session.connection().exec_driver_sql(statement, parameters)\n"
        '            session.connection().exec_driver_sql("NOTIFY outbox")\n',
        "test_outbox.py",
    ),
    Rail(
        "a commit wakes the relay", "session.py", "            wake()\n", "            pass\n", "test_relay.py -k soon"
    ),
    Rail(
        "the relay also polls",
        "relay.py",
        "await _until(stop, self._poll_seconds, self._woken)",
        "await _until(stop, 3600, self._woken)",
        "test_relay.py -k soon",
    ),
    Rail(
        "what a handler tells has an id from its cause",
        "outbox.py",
        "id = id or derived_id(",
        "id = id or uuid7() or derived_id(",
        "test_outbox.py -k same_id",
    ),
    Rail(
        "a projection never emits",
        "session.py",
        "    if current is not None and not current.reacts:\n",
        "    if False:\n",
        "test_delivery.py -k neither",
    ),
    Rail(
        "only the holder of the lease deletes",
        "relay.py",
        "seq = ANY($5::bigint[]) AND EXISTS (SELECT 1 FROM lease)",
        "seq = ANY($5::bigint[])",
        "test_relay.py -k zombie",
    ),
    Rail(
        "losing the lease ends the relay",
        "relay.py",
        "            raise LeaseLost(self._name)\n\n    async def _count",
        "            pass\n\n    async def _count",
        "test_relay.py -k 'zombie or losing'",
    ),
    Rail(
        "a lease that its holder does not renew is taken over",
        "relay.py",
        "WHERE l.until < clock_timestamp() OR",
        "WHERE",
        "test_relay.py -k takes_over",
    ),
    Rail(
        "one relay is active",
        "relay.py",
        '    " WHERE l.until < clock_timestamp() OR l.holder = excluded.holder RETURNING epoch"',
        '    " RETURNING epoch"',
        "test_relay.py -k takes_over",
    ),
    Rail(
        "only what was acknowledged is deleted",
        "relay.py",
        "                return sent\n            sent.acknowledged",
        "                sent.acknowledged += rows[start:]\n                return sent\n            sent.acknowledged",
        "test_relay.py -k refuses",
    ),
    Rail(
        "no later row passes one that was refused",
        "relay.py",
        "                return sent\n            sent.acknowledged += rows[start:end]",
        "                start = end\n                continue\n            sent.acknowledged += rows[start:end]",
        "test_relay.py -k refuses",
    ),
    Rail(
        "the producer is opened again after an error",
        "relay.py",
        "        await self._close_producer()\n        for result",
        "        for result",
        "test_relay.py -k refuses",
    ),
    Rail(
        "a key that was refused three times stops, and the others go on",
        "relay.py",
        "_REFUSALS: Final = 3",
        "_REFUSALS: Final = 3_000_000",
        "test_relay.py -k refuses",
    ),
    Rail(
        "a key that is let go on is read from its own row",
        "relay.py",
        " AND (SELECT count(*) FROM relay_refused WHERE stopped) = $4 ORDER",
        " AND $4::bigint >= 0 ORDER",
        "test_relay.py -k refuses",
    ),
    Rail(
        "connection errors never count against a row",
        "relay.py",
        "if result.alone is not None and isinstance(result.error, _THE_ROWS_FAULT):",
        "if result.alone is not None:",
        "test_relay.py -k never_count",
    ),
    Rail(
        "the lease is held while Kafka is away",
        "relay.py",
        """self.state.kafka = "away"
                    await self._renew(connection, [])""",
        'self.state.kafka = "away"',
        "test_relay.py -k answer",
    ),
    Rail(
        "the floor waits for transactions that drew lower numbers",
        "relay.py",
        "elif not self._noted[1] & await self._writers(connection):",
        "else:",
        "test_relay.py -k commits_late",
    ),
    Rail(
        "reading begins at the floor",
        "relay.py",
        "rows = await self._read_after(connection, floor.id)",
        "rows = await self._read_after(connection, 0)",
        "test_relay.py -k dead",
    ),
    Rail(
        "offset and effect are one transaction",
        "inbox.py",
        "                await _advance(tx, group, stream.topic, ends)\n",
        "                await tx.commit()\n                await _advance(tx, group, stream.topic, ends)\n",
        "test_crashes.py test_delivery.py -k 'one_transaction or twice or kills'",
    ),
    Rail(
        "what the database has consumed is dropped",
        "inbox.py",
        "                elif record.offset >= stands:\n",
        "                else:\n",
        "test_delivery.py -k forgotten",
    ),
    Rail(
        "a batch that does not begin where the database stands is sought again",
        "inbox.py",
        "                if stream.begins.get(partition, stands) != stands:\n",
        "                if False:\n",
        "test_delivery.py -k begin",
    ),
    Rail(
        "the consumer starts where the database stands, not where Kafka's commit does",
        "streams.py",
        "            kafka.seek(tp, start)\n",
        "",
        "test_streams.py -k own_commit",
    ),
    Rail(
        "a database that was restored is followed",
        "streams.py",
        "            await stream.check()\n",
        "            pass\n",
        "test_streams.py -k restored",
    ),
    Rail(
        "a swallowed batch is fetched again",
        "streams.py",
        "            for partition, at in list(self._fetched.items()):\n                there",
        "            for partition, at in list(self.consumed.items()):\n                there",
        "test_streams.py -k swallowed",
    ),
    Rail(
        "an event that is twice on the topic has its effect once",
        "inbox.py",
        "new = await new_in_inbox(tx, group.id, candidates)",
        "new = candidates or await new_in_inbox(tx, group.id, candidates)",
        "test_delivery.py -k twice_on",
    ),
    Rail(
        "a poll is not grouped by type",
        "inbox.py",
        "await dispatch(tx, new)",
        "await dispatch(tx, sorted(new, key=lambda each: each.envelope.type))",
        "test_delivery.py -k across_types",
    ),
    Rail(
        "a run across keys keeps each key's order",
        "dispatch.py",
        "            number += 1\n",
        "            pass\n",
        "test_dispatch.py",
    ),
    Rail(
        "projections of an event come before reactions to it",
        "dispatch.py",
        "        if any(not handler.batch for handler in reactions):\n",
        "        if False:\n",
        "test_delivery.py -k before",
    ),
    Rail(
        "a failed batch is done again one by one",
        "inbox.py",
        "                        careful += together\n",
        "                        raise\n",
        "test_delivery.py -k culprit",
    ),
    Rail(
        "a parked key holds its later events",
        "inbox.py",
        "            if key in held:\n",
        "            if False:\n",
        "test_delivery.py -k holds",
    ),
    Rail(
        "consumer and replay lock the key",
        "parking.py",
        '" ORDER BY key FOR UPDATE"',
        '" ORDER BY key"',
        "test_delivery.py -k left_behind",
    ),
    Rail(
        "a replay that finds the queue empty lets the key go",
        "parking.py",
        "                await _release(tx, group.id, topic, key)\n                return",
        "                return",
        "test_delivery.py -k holds",
    ),
    Rail(
        "discarding asks for a reason",
        "parking.py",
        "    if not reason.strip():\n",
        "    if False:\n",
        "test_delivery.py -k discarding",
    ),
    Rail(
        "row-level failures are tried again",
        "inbox.py",
        "_ROW_TRIES: Final = 5",
        "_ROW_TRIES: Final = 1",
        "test_delivery.py -k row_level",
    ),
    Rail(
        "connectivity is waited out",
        "failures.py",
        "    return Failure.CONNECTIVITY if any(map(_is_connectivity, chain)) else Failure.FACT",
        "    return Failure.FACT",
        "test_delivery.py test_streams.py -k 'nobodys or away'",
    ),
    Rail(
        "an attempt is recorded before redelivery, and the third crash parks",
        "inbox.py",
        "_CRASHES: Final = 3",
        "_CRASHES: Final = 3_000",
        "test_crashes.py -k third",
    ),
    Rail(
        "one kill is not held against an event",
        "inbox.py",
        "_CRASHES: Final = 3",
        "_CRASHES: Final = 0",
        "test_crashes.py -k random",
    ),
    Rail(
        "after a crash the first batch is done with care",
        "inbox.py",
        "opened > 1 OR attempt_offset IS NOT DISTINCT FROM next_offset",
        "false",
        "test_crashes.py -k 'third or orderly'",
    ),
    Rail(
        "too many keys parked stop the consumer",
        "alarm.py",
        "            raise ReleaseLooksBroken(",
        "            print(",
        "test_delivery.py -k too_many",
    ),
    Rail(
        "some poison among very much good does not",
        "alarm.py",
        "and len(self._parked) * 10 > len(self._seen)",
        "",
        "test_delivery.py -k very_many",
    ),
    Rail(
        "a stopped group stays stopped",
        "streams.py",
        "if await self._consumer.halted(self.group) is None:\n                    firsts",
        "if True:\n                    firsts",
        "test_streams.py -k stays_stopped",
    ),
    Rail(
        "FastStream reads nothing of a record",
        "streams.py",
        "                parser=_unread,\n",
        "",
        "test_streams.py -k choke",
    ),
    Rail(
        "a worker refuses another number of partitions",
        "topics.py",
        '    wrong = [f"{name} has',
        '    wrong = [] and [f"{name} has',
        "test_streams.py -k refuses",
    ),
    Rail(
        "an oversized record is parked",
        "records.py",
        '    if len(record.value or b"") >',
        "    if 0 >",
        "test_delivery.py -k MB",
    ),
    Rail(
        "a record's key is its contract's",
        "records.py",
        "if record.key is None or record.key != event.key.encode():",
        "if False:",
        "test_delivery.py -k key",
    ),
    Rail(
        "a type belongs on its publisher's topic",
        "records.py",
        "if listener.event.topic != record.topic:",
        "if False:",
        "test_delivery.py -k foreign",
    ),
    Rail(
        "a null header is a missing one",
        "records.py",
        "for name, value in record.headers if value is not None)",
        "for name, value in record.headers)",
        "test_delivery.py -k 'null'",
    ),
    Rail(
        "access has a group of its own",
        "subscriptions.py",
        "by_name.setdefault(each.group, [])",
        'by_name.setdefault("main", [])',
        "test_delivery.py -k access",
    ),
    Rail(
        "a rebuild runs projections alone",
        "rebuild.py",
        "await dispatch(tx, new, react=False)",
        "await dispatch(tx, new)",
        "test_rebuild.py -k equals",
    ),
    Rail(
        "a rebuild passes over what is parked",
        "rebuild.py",
        'if parked.get((group.id, *place), "replayed") == "replayed":',
        "if True:",
        "test_rebuild.py -k equals",
    ),
    Rail(
        "a rebuild counts each event once",
        "rebuild.py",
        "new = await new_in_inbox(tx, group.id, [each for each in reads if isinstance(each, Delivered)])",
        "new = [each for each in reads if isinstance(each, Delivered)]",
        "test_rebuild.py -k equals",
    ),
    Rail(
        "a rebuild ends where the living stand",
        "rebuild.py",
        "below = [record for record in records if record.offset < goals[tp.topic, tp.partition]]",
        "below = list(records)",
        "test_rebuild.py -k further",
    ),
    Rail(
        "a rebuild holds the living while it swaps",
        "rebuild.py",
        "await _targets(connection, names, lock=True)",
        "await _targets(connection, names)",
        "test_rebuild.py -k beside",
    ),
    Rail(
        "projections write projection tables only",
        "rebuild.py",
        "        if elsewhere:\n",
        "        if False:\n",
        "test_rebuild.py -k fails",
    ),
    Rail(
        "the inbox forgets after thirty days and keeps every day until then",
        "seen.py",
        "KEPT: Final = timedelta(days=30)",
        "KEPT: Final = timedelta(days=2)",
        "test_upkeep.py -k thirty",
    ),
    Rail(
        "timestamps are the broker's",
        "topics.py",
        '"LogAppendTime"',
        '"CreateTime"',
        "test_upkeep.py -k declared",
    ),
    Rail(
        "one trace leads through everything",
        "dispatch.py",
        "        if context.traceparent is None or not is_sampled(context.traceparent):\n",
        "        if True:\n",
        "test_upkeep.py -k trace",
    ),
)


def take_out(rail: Rail) -> list[str] | None:
    """The tests that went red without `rail`; None when its text is not there any more."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "eventing"
        shutil.copytree(SOURCE, copy, ignore=shutil.ignore_patterns("__pycache__"))
        text = (copy / rail.file).read_text()
        if text.count(rail.old) != 1:
            return None
        (copy / rail.file).write_text(text.replace(rail.old, rail.new))
        files, _, chosen = rail.tests.partition(" -k ")
        ran = subprocess.run(
            [
                sys.executable, "-m", "pytest", "-q", "--tb=no", "-p", "no:cacheprovider", "--timeout=90",
                *(str(HERE / name) for name in files.split()),
                *(["-k", chosen.strip("'")] if chosen else []),
            ],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": folder},
            capture_output=True,
            text=True,
            check=False,
        )  # fmt: skip
    red = re.findall(r"^(?:FAILED|ERROR) \S+::(\w+)", ran.stdout, re.MULTILINE)
    if not red and ran.returncode not in (0, 1):
        red = [f"pytest ended with {ran.returncode}"] if "Timeout" in ran.stdout + ran.stderr else []
    return sorted(set(red))


def main(names: list[str]) -> int:
    """Take out the rails whose name contains one of `names`, or all; 1 when one of them is not held."""
    document = ROOT / "docs" / "rails.md"
    table = dict(re.findall(r"^\| (.+?) \| (.+) \|$", document.read_text(), re.MULTILINE)) if document.exists() else {}
    chosen = [rail for rail in RAILS if not names or any(name in rail.name for name in names)]
    with ThreadPoolExecutor(int(os.environ.get("JOBS", "2"))) as pool:
        for rail, red in zip(chosen, pool.map(take_out, chosen), strict=True):
            shown = "THE PATCH DOES NOT FIT" if red is None else ", ".join(f"`{test}`" for test in red) or "NONE"
            table[rail.name] = shown
            sys.stdout.write(f"{rail.name}: {shown}\n")
            sys.stdout.flush()
    rows = [f"| {rail.name} | {table.get(rail.name, 'not tried yet')} |" for rail in RAILS]
    document.write_text(HEAD + "\n".join(rows) + "\n")
    return 1 if any(not table[rail.name].startswith("`") for rail in chosen) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
