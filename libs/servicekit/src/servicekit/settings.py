"""Settings come from the environment (or from files named by NAME_FILE) and nowhere else.

They are checked at start: a wrong one ends the process with a message that names the variable and says what to do.
"""

import os
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from eventing.kafka import KafkaSettings


class SecretFileSource(PydanticBaseSettingsSource):
    """NAME_FILE: the value of NAME is the content of that file, without the line end."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        path = os.environ.get(f"{field_name.upper()}_FILE")
        if not path:
            return None, field_name, False
        try:
            return Path(path).read_text(encoding="utf-8").rstrip("\r\n"), field_name, False
        except OSError as error:
            raise WrongSettings(
                f"{field_name.upper()}_FILE: cannot read {path} ({error.strerror}); "
                f"mount the file or set {field_name.upper()} instead"
            ) from error

    def __call__(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, field in self.settings_cls.model_fields.items():
            value, key, _ = self.get_field_value(field, name)
            if value is not None:
                found[key] = value
        return found


class WrongSettings(SystemExit):
    """The environment does not describe a process that can start. The message names each variable."""


class ServiceSettings(BaseSettings):
    """What every service needs to know. A service's own settings subclass this."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    database_url: Annotated[
        SecretStr,
        Field(
            description="PostgreSQL of this service, e.g. postgresql://user:secret@host:5432/risk; it may be a pooler"
        ),
    ]
    database_direct_url: Annotated[
        SecretStr | None,
        Field(description="The same database without a pooler, for the relay and migrations; default: DATABASE_URL"),
    ] = None
    database_pool_size: Annotated[int, Field(ge=1, le=500, description="Connections per process")] = 10
    database_statement_timeout_ms: Annotated[
        int, Field(ge=0, description="Longest statement of an API request; 0 means none")
    ] = 15_000
    database_pooler: Annotated[
        bool, Field(description="DATABASE_URL is a pooler in transaction mode: no prepared statements are kept")
    ] = False
    kafka_bootstrap: Annotated[str, Field(description="host:port[,host:port] of the brokers")] = "127.0.0.1:9092"
    kafka_security_protocol: Annotated[
        Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"], Field(description="How to talk to the brokers")
    ] = "PLAINTEXT"
    kafka_sasl_mechanism: Annotated[
        Literal["SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"] | None, Field(description="With SASL_*: the mechanism")
    ] = None
    kafka_username: Annotated[str | None, Field(description="With SASL_*: the service's own user")] = None
    kafka_password: Annotated[SecretStr | None, Field(description="With SASL_*: its password")] = None
    kafka_ca_file: Annotated[Path | None, Field(description="With *SSL: the CA certificates (PEM)")] = None
    oidc_issuer: Annotated[
        str,
        Field(min_length=1, description="The issuer that tokens must name, e.g. https://id.bank.example/realms/crm"),
    ]
    oidc_audience: Annotated[str, Field(description="The audience that tokens must name")] = "factoring-crm"
    oidc_jwks_url: Annotated[
        str | None, Field(description="Where the issuer's keys are; default: from its discovery document")
    ] = None
    oidc_algorithms: Annotated[
        tuple[str, ...], Field(description='Allowed signature algorithms, a JSON list; never "none" or HS*')
    ] = ("ES256", "RS256", "PS256", "EdDSA")
    oidc_leeway_seconds: Annotated[int, Field(ge=0, le=300, description="Clock skew allowed in exp and nbf")] = 30
    master_key: Annotated[
        SecretStr | None,
        Field(
            description="Wraps persons' keys: id:base64 of 32 bytes[,older-id:base64…]; the first one wraps new keys,"
            " and `rewrap` the old ones anew"
        ),
    ] = None
    http_host: Annotated[str, Field(description="Address the API listens on")] = "127.0.0.1"
    http_port: Annotated[int, Field(ge=0, le=65535, description="Port the API listens on")] = 8000
    request_seconds: Annotated[
        float, Field(gt=0, description="Longest a request is worked on; then 503, for the database seems to hang")
    ] = 60.0
    max_body_bytes: Annotated[int, Field(ge=1024, description="Larger request bodies are answered 413")] = 1_000_000
    metrics_host: Annotated[str, Field(description="Address /metrics listens on")] = "127.0.0.1"
    metrics_port: Annotated[int, Field(ge=0, le=65535, description="Port of /metrics; 0 switches it off")] = 0
    gauges_seconds: Annotated[
        float, Field(gt=0, description="How often worker and watch look at outbox, parked keys, lag and due work")
    ] = 5.0
    outbox_limit: Annotated[
        int, Field(ge=1, description="Outbox rows above which the API answers changes with 503")
    ] = 1_000_000
    drain_delay_seconds: Annotated[
        float,
        Field(ge=0, description="How long an unready process still serves at SIGTERM, until it gets no new requests"),
    ] = 0.0
    shutdown_seconds: Annotated[
        float, Field(gt=0, description="How long running requests and batches may take to finish at SIGTERM")
    ] = 20.0
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"], Field(description="Least level that is logged")
    ] = "INFO"
    otel_exporter_otlp_endpoint: Annotated[
        str | None,
        Field(description="OTLP/HTTP collector, e.g. http://otel:4318; unset: spans are made but not exported"),
    ] = None
    otel_traces_ratio: Annotated[float, Field(ge=0, le=1, description="Share of new traces that are sampled")] = 1.0

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, SecretFileSource(settings_cls)

    @model_validator(mode="after")
    def _algorithms_are_asymmetric(self) -> Self:
        wrong = [name for name in self.oidc_algorithms if name not in {"ES256", "ES384", "RS256", "PS256", "EdDSA"}]
        if wrong or not self.oidc_algorithms:
            raise ValueError(f"OIDC_ALGORITHMS: {wrong or 'empty'}; allowed are ES256, ES384, RS256, PS256, EdDSA")
        return self

    @property
    def async_url(self) -> str:
        """DATABASE_URL in SQLAlchemy's form for asyncpg."""
        return sqlalchemy_url(self.database_url.get_secret_value())

    @property
    def direct_dsn(self) -> str:
        """The address without a pooler, in libpq's form."""
        return libpq_url((self.database_direct_url or self.database_url).get_secret_value())

    def kafka(self) -> KafkaSettings:
        """The brokers, in eventing's terms."""
        return KafkaSettings(
            bootstrap=self.kafka_bootstrap,
            security_protocol=self.kafka_security_protocol,
            sasl_mechanism=self.kafka_sasl_mechanism,
            username=self.kafka_username,
            password=self.kafka_password.get_secret_value() if self.kafka_password else None,
            ca_file=str(self.kafka_ca_file) if self.kafka_ca_file else None,
        )


def sqlalchemy_url(url: str) -> str:
    """postgresql[+driver]://… → postgresql+asyncpg://…"""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.split("+")[0] not in {"postgresql", "postgres"}:
        raise WrongSettings("DATABASE_URL: must begin with postgresql://, e.g. postgresql://user:secret@host:5432/risk")
    return f"postgresql+asyncpg://{rest}"


def libpq_url(url: str) -> str:
    """postgresql[+driver]://… → postgresql://…"""
    return "postgresql://" + sqlalchemy_url(url).partition("://")[2]


S = TypeVar("S", bound=ServiceSettings)


def load(settings: type[S]) -> S:
    """Read and check the environment.

    Raises:
        WrongSettings: names every wrong or missing variable with what it is for.
    """
    try:
        return settings.model_validate({})  # the sources below fill it
    except ValidationError as error:
        lines = [_explain(settings, tuple(e["loc"]), e["msg"]) for e in error.errors(include_input=False)]
        raise WrongSettings("The settings are wrong:\n" + "\n".join(lines)) from None


def _explain(settings: type[ServiceSettings], loc: tuple[int | str, ...], message: str) -> str:
    name = str(loc[0]) if loc else ""
    field = settings.model_fields.get(name)
    if field is None:
        return f"  {message.removeprefix('Value error, ')}"
    return f"  {name.upper()}: {message}. Set {name.upper()} or {name.upper()}_FILE: {field.description}."


def table(settings: type[ServiceSettings]) -> str:
    """Every variable with its default and meaning, as Markdown."""
    lines = ["| variable | default | meaning |", "| --- | --- | --- |"]
    for name, field in settings.model_fields.items():
        default = "**required**" if field.is_required() else "" if field.default is None else f"`{field.default}`"
        lines.append(f"| `{name.upper()}` | {default} | {field.description or ''} |")
    lines.append("| `…_FILE` |  | each of these may instead name a file that holds the value |")
    return "\n".join(lines)
