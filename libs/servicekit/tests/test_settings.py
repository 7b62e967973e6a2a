"""Settings: from the environment or files, and a wrong one is named with what to do about it."""

from pathlib import Path

import pytest
from sample.app import app

from servicekit.settings import ServiceSettings, WrongSettings, libpq_url, load, sqlalchemy_url


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ServiceSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.delenv(f"{name.upper()}_FILE", raising=False)
    monkeypatch.setenv("DATABASE_URL", "postgresql://user:s3cret@db:5432/risk")
    monkeypatch.setenv("OIDC_ISSUER", "https://id.test")


def test_the_environment_is_enough() -> None:
    settings = load(ServiceSettings)
    assert settings.async_url == "postgresql+asyncpg://user:s3cret@db:5432/risk"
    assert settings.direct_dsn == "postgresql://user:s3cret@db:5432/risk"
    assert settings.outbox_limit == 1_000_000
    assert "s3cret" not in repr(settings)


def test_secrets_come_from_files_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = tmp_path / "password"
    secret.write_text("pa ss\n")
    monkeypatch.setenv("KAFKA_PASSWORD_FILE", str(secret))
    assert load(ServiceSettings).kafka().password == "pa ss"
    monkeypatch.setenv("KAFKA_PASSWORD_FILE", str(tmp_path / "nowhere"))
    with pytest.raises(WrongSettings, match=r"KAFKA_PASSWORD_FILE.*mount the file"):
        load(ServiceSettings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HTTP_PORT", "http"),
        ("HTTP_PORT", "99999"),
        ("OUTBOX_LIMIT", "0"),
        ("LOG_LEVEL", "LOUD"),
        ("OIDC_ALGORITHMS", '["HS256"]'),
        ("OIDC_ALGORITHMS", '["none"]'),
        ("OIDC_ISSUER", ""),
        ("KAFKA_SECURITY_PROTOCOL", "TLS"),
        ("SHUTDOWN_SECONDS", "-1"),
    ],
)
def test_a_wrong_one_is_named(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(WrongSettings, match=name):
        load(ServiceSettings)


def test_all_that_are_missing_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL")
    monkeypatch.delenv("OIDC_ISSUER")
    with pytest.raises(WrongSettings) as wrong:
        load(ServiceSettings)
    assert "DATABASE_URL" in str(wrong.value)
    assert "OIDC_ISSUER" in str(wrong.value)
    assert "e.g." in str(wrong.value)


def test_a_wrong_value_is_not_echoed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTBOX_LIMIT", "my-password")
    with pytest.raises(WrongSettings) as wrong:
        load(ServiceSettings)
    assert "my-password" not in str(wrong.value)


def test_addresses() -> None:
    assert sqlalchemy_url("postgresql+asyncpg://h/d") == sqlalchemy_url("postgres://h/d") == "postgresql+asyncpg://h/d"
    assert libpq_url("postgresql+asyncpg://h/d") == "postgresql://h/d"
    with pytest.raises(WrongSettings, match="DATABASE_URL"):
        sqlalchemy_url("mysql://h/d")


def test_the_table_documents_every_variable(capsys: pytest.CaptureFixture[str]) -> None:
    app.main(["settings"])
    printed = capsys.readouterr().out
    for name, field in ServiceSettings.model_fields.items():
        assert f"`{name.upper()}`" in printed
        assert field.description
