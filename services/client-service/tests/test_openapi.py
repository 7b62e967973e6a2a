"""The committed OpenAPI document is the service's own, and says what a caller needs."""

from pathlib import Path

from client_service.app import app
from servicekit import openapi

COMMITTED = Path(__file__).parents[1] / "openapi.json"


def test_the_committed_document_is_current_and_breaks_no_caller() -> None:
    assert openapi.check(app.openapi(), COMMITTED) == []


def test_every_operation_says_what_it_does_and_how_it_fails() -> None:
    for path, operations in app.openapi()["paths"].items():
        for method, operation in operations.items():
            assert operation["description"], (method, path)
            if path.startswith("/clients/{"):
                assert "404" in operation["responses"], (method, path)
