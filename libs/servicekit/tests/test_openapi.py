"""The committed OpenAPI document: complete, stable, and no breaking change goes unseen."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import validate
from sample.app import app

from servicekit import openapi
from servicekit.testing import Harness

DOCUMENT: dict[str, Any] = json.loads(openapi.text_of(app.openapi()))
Doc = dict[str, Any]


def make(document: Doc) -> Doc:
    return document["paths"]["/notes"]["post"]


def listing(document: Doc) -> Doc:
    return document["paths"]["/notes"]["get"]


def change(document: Doc) -> Doc:
    return document["paths"]["/notes/{note_id}"]["put"]


def schema(document: Doc, name: str) -> Doc:
    return document["components"]["schemas"][name]


def operation_removed(d: Doc) -> None:
    del d["paths"]["/notes/{note_id}"]["delete"]


def path_renamed(d: Doc) -> None:
    d["paths"]["/memos"] = d["paths"].pop("/notes")


def operation_id_changed(d: Doc) -> None:
    make(d)["operationId"] = "create_note"


def permission_changed(d: Doc) -> None:
    make(d)["security"] = [{"oidc": ["notes:create"]}]


def permission_added(d: Doc) -> None:
    make(d)["security"] = [{"oidc": ["notes:write", "notes:more"]}]


def query_parameter_removed(d: Doc) -> None:
    listing(d)["parameters"] = [each for each in listing(d)["parameters"] if each["name"] != "code"]


def query_parameter_newly_required(d: Doc) -> None:
    next(each for each in listing(d)["parameters"] if each["name"] == "code")["required"] = True


def new_required_parameter(d: Doc) -> None:
    listing(d)["parameters"].append({"name": "tenant", "in": "header", "required": True, "schema": {"type": "string"}})


def parameter_narrowed(d: Doc) -> None:
    next(each for each in listing(d)["parameters"] if each["name"] == "limit")["schema"]["maximum"] = 100


def parameter_type_changed(d: Doc) -> None:
    next(each for each in listing(d)["parameters"] if each["name"] == "total")["schema"] = {"type": "integer"}


def new_required_body_field(d: Doc) -> None:
    schema(d, "NewNote")["properties"]["title"] = {"type": "string"}
    schema(d, "NewNote")["required"].append("title")


def body_field_newly_required(d: Doc) -> None:
    schema(d, "NewNote")["required"].append("size")


def body_field_removed(d: Doc) -> None:
    del schema(d, "NewNote")["properties"]["size"]


def body_field_narrowed(d: Doc) -> None:
    schema(d, "NewNote")["properties"]["code"]["maxLength"] = 10


def body_field_type_changed(d: Doc) -> None:
    schema(d, "NoteChange")["properties"]["size"] = {"type": "string"}


def body_null_no_longer_taken(d: Doc) -> None:
    schema(d, "NewNote")["properties"]["size"] = {"type": "integer"}


def body_pattern_added(d: Doc) -> None:
    schema(d, "NewNote")["properties"]["code"]["pattern"] = "^N"


def body_type_removed(d: Doc) -> None:
    content = make(d)["requestBody"]["content"]
    content["application/xml"] = content.pop("application/json")


def body_newly_required(d: Doc) -> None:
    d["paths"]["/notes/{note_id}"]["delete"]["requestBody"] = {
        "required": True,
        "content": {"application/json": {"schema": {"type": "object"}}},
    }


def response_field_removed(d: Doc) -> None:
    schema(d, "NoteView")["properties"].pop("code")
    schema(d, "NoteView")["required"].remove("code")


def response_field_no_longer_required(d: Doc) -> None:
    schema(d, "NoteView")["required"].remove("code")


def response_field_type_changed(d: Doc) -> None:
    schema(d, "NoteView")["properties"]["code"] = {"type": "integer"}


def response_field_may_be_null(d: Doc) -> None:
    schema(d, "NoteView")["properties"]["code"] = {"anyOf": [{"type": "string"}, {"type": "null"}]}


def success_status_changed(d: Doc) -> None:
    responses = make(d)["responses"]
    responses["200"] = responses.pop("201")


def response_became_a_list(d: Doc) -> None:
    content = change(d)["responses"]["200"]["content"]["application/json"]
    content["schema"] = {"type": "array", "items": content["schema"]}


def response_type_removed(d: Doc) -> None:
    content = listing(d)["responses"]["200"]["content"]
    content["text/csv"] = content.pop("application/json")


BREAKING = [
    operation_removed, path_renamed, operation_id_changed, permission_changed, permission_added,
    query_parameter_removed,
    query_parameter_newly_required, new_required_parameter, parameter_narrowed, parameter_type_changed,
    new_required_body_field, body_field_newly_required, body_field_removed, body_field_narrowed,
    body_field_type_changed,
    body_null_no_longer_taken, body_pattern_added, body_type_removed, body_newly_required, response_field_removed,
    response_field_no_longer_required, response_field_type_changed, response_field_may_be_null, success_status_changed,
    response_became_a_list, response_type_removed,
]  # fmt: skip


@pytest.mark.parametrize("plant", BREAKING)
def test_a_breaking_change_is_found(plant: Callable[[Doc], None]) -> None:
    changed = copy.deepcopy(DOCUMENT)
    plant(changed)
    assert openapi.compare(DOCUMENT, changed)


def new_operation(d: Doc) -> None:
    d["paths"]["/memos"] = {"get": listing(d)}


def new_optional_parameter(d: Doc) -> None:
    listing(d)["parameters"].append({"name": "sort", "in": "query", "required": False, "schema": {"type": "string"}})


def parameter_widened(d: Doc) -> None:
    next(each for each in listing(d)["parameters"] if each["name"] == "limit")["schema"]["maximum"] = 1000


def new_optional_body_field(d: Doc) -> None:
    schema(d, "NewNote")["properties"]["title"] = {"type": "string"}


def body_field_widened(d: Doc) -> None:
    schema(d, "NewNote")["properties"]["code"]["maxLength"] = 100


def body_field_no_longer_required(d: Doc) -> None:
    schema(d, "NewNote")["required"].remove("code")


def new_response_field(d: Doc) -> None:
    schema(d, "NoteView")["properties"]["title"] = {"type": "string"}


def response_field_always_there(d: Doc) -> None:
    schema(d, "NoteView")["required"].append("phone")


def new_error(d: Doc) -> None:
    make(d)["responses"]["402"] = make(d)["responses"]["409"]


def words_changed(d: Doc) -> None:
    make(d)["description"] = "Another description"
    d["info"]["version"] = "9.9.9"


def examples_changed(d: Doc) -> None:
    schema(d, "NewNote")["examples"] = [{"code": "N-2"}]
    make(d)["requestBody"]["content"]["application/json"]["example"] = {"code": "N-2"}
    del change(d)["responses"]["200"]["content"]["application/json"]["example"]


ADDITIVE = [
    new_operation, new_optional_parameter, parameter_widened, new_optional_body_field, body_field_widened,
    body_field_no_longer_required, new_response_field, response_field_always_there, new_error, words_changed,
    examples_changed,
]  # fmt: skip


@pytest.mark.parametrize("plant", ADDITIVE)
def test_an_additive_change_passes(plant: Callable[[Doc], None]) -> None:
    changed = copy.deepcopy(DOCUMENT)
    plant(changed)
    assert openapi.compare(DOCUMENT, changed) == []


def test_the_document_is_valid_and_says_what_the_rails_do() -> None:
    validate(DOCUMENT)
    made = make(DOCUMENT)
    assert made["operationId"] == "make_note"
    assert made["x-permission"] == ["notes:write"]
    assert "`notes:write`" in made["description"]
    assert [each["name"] for each in made["parameters"]] == ["Idempotency-Key"]
    assert set(made["responses"]) == {"201", "400", "401", "403", "409", "413", "422", "503"}
    assert set(made["responses"]["409"]["content"]["application/problem+json"]["examples"]) == {
        "code-taken",
        "note-too-big",
    }
    assert {"412", "428", "404"} <= set(change(DOCUMENT)["responses"])
    ids = [operation["operationId"] for _, _, operation in openapi.operations(DOCUMENT)]
    assert len(ids) == len(set(ids))
    assert "HTTPValidationError" not in json.dumps(DOCUMENT)


def test_the_committed_file_is_checked_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "openapi.json"
    with pytest.raises(SystemExit, match="missing"):
        app.main(["openapi", "--check", "--file", str(file)])
    app.main(["openapi", "--write", "--file", str(file)])
    app.main(["openapi", "--check", "--file", str(file)])
    old = copy.deepcopy(DOCUMENT)
    old["paths"]["/gone"] = old["paths"]["/notes"]
    file.write_text(openapi.text_of(old))
    with pytest.raises(SystemExit, match="removed operation"):
        app.main(["openapi", "--check", "--file", str(file)])
    with pytest.raises(SystemExit, match="break callers"):
        app.main(["openapi", "--write", "--file", str(file)])
    app.main(["openapi", "--write", "--breaking", "--file", str(file)])
    old = copy.deepcopy(DOCUMENT)
    words_changed(old)
    file.write_text(openapi.text_of(old))
    with pytest.raises(SystemExit, match="stale"):
        app.main(["openapi", "--check", "--file", str(file)])
    capsys.readouterr()
    app.main(["openapi"])
    assert json.loads(capsys.readouterr().out) == DOCUMENT


def test_the_asyncapi_document_and_the_topics_needed(capsys: pytest.CaptureFixture[str]) -> None:
    app.main(["asyncapi"])
    assert json.loads(capsys.readouterr().out)["asyncapi"].startswith("3.")
    app.main(["topics-needs"])
    needs = json.loads(capsys.readouterr().out)
    assert (needs["reads"], needs["groups"]) == (["client.events", "risk.events"], ["sample.main"])


async def test_docs_work_in_a_closed_network(sample: Harness) -> None:
    anyone = sample.anonymous()
    page = (await anyone.get("/docs")).text
    assert "http://" not in page
    assert "https://" not in page
    assert "//cdn" not in page
    for address in ("/docs/static/swagger-ui-bundle.js", "/docs/static/swagger-ui.css", "/docs/static/favicon.png"):
        assert address in page
        assert (await anyone.get(address)).status_code == 200
    assert (await anyone.get("/openapi.json")).json() == DOCUMENT
