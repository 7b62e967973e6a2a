"""Every committed OpenAPI document has an example of each request body and answer, and the examples are right."""

import copy
import json
import re
from datetime import date
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field
from sample.app import app as sample

from servicekit.app import Service
from servicekit.examples import Examples, NoExample, example
from servicekit.openapi import json_contents, operations
from servicekit.routing import routes_of

Doc = dict[str, Any]
SERVICES = ("client", "risk", "engagement", "performance")
ROOT = Path(__file__).parents[3]
FORMATS = Draft202012Validator.FORMAT_CHECKER
PROBLEM = "application/problem+json"


def committed(service: str) -> Doc:
    return json.loads((ROOT / f"services/{service}-service/openapi.json").read_text("utf-8"))


def wrong_with(document: Doc) -> list[str]:
    """What is missing of the document's examples, or wrong with them."""
    found: list[str] = []
    validator: Any = Draft202012Validator({"components": document["components"]}, format_checker=FORMATS)
    for path, method, operation in operations(document):
        contents = [(method, content) for content in json_contents(operation)]
        for status, response in operation["responses"].items():
            if status.startswith("4"):
                name = response.get("$ref", "").rsplit("/", 1)[-1]
                problem = document["components"]["responses"].get(name, response)["content"][PROBLEM]
                examples = [each["value"] for each in problem.get("examples", {}).values()]
                contents += [(status, {"schema": problem["schema"], "example": each}) for each in examples]
                if not examples:
                    found.append(f"{method} {path} {status}: no example")
                if any(str(each["status"]) != status for each in examples):
                    found.append(f"{method} {path} {status}: an example of another status")
        for what, content in contents:
            if "example" not in content:
                found.append(f"{method} {path} {what}: no example")
                continue
            error = next(validator.evolve(schema=content["schema"]).iter_errors(content["example"]), None)
            if error is not None:
                found.append(f"{method} {path} {what}: {error.json_path}: {error.message}")
    return found


@pytest.mark.parametrize("service", SERVICES)
def test_each_body_and_answer_has_an_example_that_fits(service: str) -> None:
    assert {"date", "date-time", "uuid"} <= FORMATS.checkers.keys()
    assert wrong_with(committed(service)) == []


@pytest.mark.parametrize("service", SERVICES)
def test_examples_of_requests_are_accepted_by_their_models(service: str) -> None:
    app: Service = import_module(f"{service}_service.app").app
    requests = {
        operation["operationId"]: operation["requestBody"]["content"]["application/json"]["example"]
        for _, _, operation in operations(committed(service))
        if "requestBody" in operation
    }
    routers = [feature.router for feature in app.features if feature.router is not None]
    checked: list[str] = []
    for route in (route for router in routers for route in routes_of(router)):
        if route.body_field is not None:
            _, errors = route.body_field.validate(requests[route.name], {}, loc=("body",))
            assert not errors, route.name
            checked.append(route.name)
    assert len(checked) == len(set(requests) - {"replay_parked_key", "discard_parked_event", "resume_refused_key"})


@pytest.mark.parametrize("service", SERVICES)
def test_moments_are_utc_and_ids_are_version_7(service: str) -> None:
    found = [each["example"] for _, _, operation in operations(committed(service)) for each in json_contents(operation)]
    for text in re.findall(r'"([^"]*)"', json.dumps(found)):
        assert not re.search(r"T\d{2}:\d{2}.*[^Z]$", text), text
        assert not re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-[^7][0-9a-f]{3}-.*", text), text


@pytest.mark.parametrize("service", SERVICES)
def test_a_missing_or_unfit_example_is_found(service: str) -> None:
    document = committed(service)
    first = next(content for _, _, operation in operations(document) for content in json_contents(operation))
    for spoilt in ({"schema": first["schema"]}, {**first, "example": 4711}):
        changed = copy.deepcopy(document)
        content = next(each for _, _, operation in operations(changed) for each in json_contents(operation))
        content.clear()
        content.update(spoilt)
        assert len(wrong_with(changed)) == 1


def test_the_sample_has_examples_too() -> None:
    assert wrong_with(json.loads(json.dumps(sample.openapi()))) == []


class Inner(BaseModel):
    colour: str = Field(examples=["blue"])
    size: int = Field(ge=3)


class Outer(BaseModel):
    model_config = example(label="A")

    label: str
    inner: list[Inner]
    client_id: UUID
    amount: Decimal | None
    on: date | None = None


class Wordless(BaseModel):
    text: str


def of(model: type[BaseModel]) -> Any:
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    return Examples(schema.pop("$defs", {})).of(schema, model=model.__name__)


def test_what_a_model_does_not_say_is_derived() -> None:
    assert of(Outer) == {
        "label": "A",
        "inner": [{"colour": "blue", "size": 3}],
        "client_id": "0199a7c0-1111-7aaa-8aaa-000000000001",
        "amount": None,
    }


def test_a_text_without_an_example_is_named() -> None:
    with pytest.raises(NoExample, match=r"Wordless\.text"):
        of(Wordless)
