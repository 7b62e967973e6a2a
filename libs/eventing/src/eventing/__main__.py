"""`python -m eventing topics|acls`: what the catalogue declares, made true on a Kafka cluster; repeatable at will."""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from confluent_kafka import KafkaException

from contracts import catalogue
from eventing import topics
from eventing.kafka import KafkaSettings


def main(arguments: Sequence[str]) -> int:
    """Run a command; credentials come from KAFKA_USERNAME and KAFKA_PASSWORD."""
    parser = argparse.ArgumentParser(prog="python -m eventing", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("topics", help="create and set every topic of the catalogue")
    make.add_argument("--replication", type=int, default=1, help="copies of each partition (3 in production)")
    allow = commands.add_parser("acls", help="give each service the rights that its contracts need")
    allow.add_argument(
        "access",
        type=Path,
        nargs="+",
        help='JSON, one service or a list: {"service": "risk", "groups": ["risk.main"], "reads": ["ledger.events"]}, as'
        " `python -m risk_service topics-needs` prints it; what a service writes comes from the catalogue",
    )
    allow.add_argument("--principal", default="User:{service}-service", help="how a service's user is called")
    for command in (make, allow):
        command.add_argument("--bootstrap", default=os.environ.get("KAFKA_BOOTSTRAP"))
        command.add_argument("--security-protocol", default=os.environ.get("KAFKA_SECURITY_PROTOCOL", "PLAINTEXT"))
        command.add_argument("--sasl-mechanism", default=os.environ.get("KAFKA_SASL_MECHANISM"))
        command.add_argument("--ca-file", default=os.environ.get("KAFKA_CA_FILE"))
    chosen = parser.parse_args(arguments)
    if not chosen.bootstrap:
        parser.error("--bootstrap or KAFKA_BOOTSTRAP says where Kafka is")
    kafka = KafkaSettings(
        chosen.bootstrap,
        chosen.security_protocol,
        chosen.sasl_mechanism,
        os.environ.get("KAFKA_USERNAME"),
        os.environ.get("KAFKA_PASSWORD"),
        chosen.ca_file,
    )
    try:
        if chosen.command == "topics":
            made = topics.create(kafka, catalogue.topics(), replication=chosen.replication)
            sys.stdout.write(f"{len(catalogue.topics())} topics as declared, {len(made)} of them new\n")
        else:
            bindings = [
                binding
                for each in _accesses(chosen.access)
                for binding in topics.rights(each, chosen.principal.format(service=each.service))
            ]
            topics.grant(kafka, bindings)
            sys.stdout.write(f"{len(bindings)} rights given\n")
    except (topics.WrongPartitions, KafkaException) as refused:
        sys.stderr.write(f"{refused}\n")
        return 1
    return 0


def _accesses(files: Sequence[Path]) -> Iterator[topics.Access]:
    for file in files:
        told: Any = json.loads(file.read_text())
        for each in cast("list[dict[str, Any]]", told if isinstance(told, list) else [told]):
            writes = topics.access_of(each["service"], (), catalogue.all_events()).writes
            yield topics.Access(each["service"], tuple(each.get("groups", ())), tuple(each.get("reads", ())), writes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
