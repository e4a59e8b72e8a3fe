"""Settings from the environment and `.env`: those that services share, and how each loads its own.

A service's settings are one class with a field per setting. The variable is `IMAGEBLUR_` and the field's name in
capitals; docs/settings.md is generated from the fields' descriptions.
"""

import ipaddress
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, SecretStr, ValidationError, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from services.common.domain.addresses import IpNetwork, parse_networks
from services.common.domain.errors import ConfigurationError
from services.common.domain.places import parse_places

PREFIX = "IMAGEBLUR_"
MIN_SECRET_LENGTH = 32
_MIB = 1 << 20
SECRETS_DIR = "/run/secrets"
"""Where containers have their secrets."""


class Settings(BaseSettings):
    """Base of every settings class."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    @classmethod
    def load(cls) -> Self:
        """Return the settings.

        Raises:
            ConfigurationError: One line for each variable that is wrong, naming it.
        """
        folder = os.environ.get(PREFIX + "SECRETS_DIR") or SECRETS_DIR
        # The usual folder may hold secrets of other programs, or be unreadable.
        ours = Path(folder).is_dir() and os.access(folder, os.R_OK | os.X_OK)
        try:
            return cls(_secrets_dir=folder if ours else None)  # type: ignore[call-arg]
        except SettingsError as error:
            raise ConfigurationError(f"{PREFIX}SECRETS_DIR: {error.__cause__ or error}") from None
        except ValidationError as error:
            raise ConfigurationError("\n".join(map(_describe, error.errors()))) from None


def _describe(error: ErrorDetails) -> str:
    if not error["loc"]:  # of several settings together, which it names itself
        return error["msg"].removeprefix("Value error, ")
    name = PREFIX + "_".join(map(str, error["loc"])).upper()
    return f"{name}: {'must be set' if error['type'] == 'missing' else error['msg'].removeprefix('Value error, ')}"


def _principals(key_ids: str) -> frozenset[str]:
    """Return the principals of the holders of API keys."""
    return frozenset(f"key:{UUID(key)}" for key in filter(None, map(str.strip, key_ids.split(","))))


def _checked_key_ids(value: str) -> str:
    for key in filter(None, map(str.strip, value.split(","))):
        try:
            UUID(key)
        except ValueError:
            raise ValueError(f"{key} is not the ID of an API key, which is a UUID") from None
    return value


_KeyIds = Annotated[str, AfterValidator(_checked_key_ids)]


class LogSettings(Settings):
    """How a service logs, and where secrets are."""

    secrets_dir: str = Field(
        default=SECRETS_DIR,
        description="Folder of settings as files, each named after its variable in lower case "
        "(`imageblur_secret_key`), for secrets of containers. The environment and `.env` take precedence.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO",
        description="Least severe level logged; at `DEBUG` also each image, call and e-mail that went well.",
    )
    log_format: Literal["text", "json"] = Field(default="text", description="`text` for people, `json` for machines.")


class MetricsSettings(LogSettings):
    """Where a service shows its metrics, and sends its traces."""

    metrics_host: str | None = Field(
        default=None,
        description="Host on which services serve Prometheus metrics (`http://host:port/metrics`, without secrets or "
        "access control): `127.0.0.1`, or `0.0.0.0` in a private network. Without it they serve none.",
    )
    traces_endpoint: str | None = Field(
        default=None,
        description="Endpoint for OpenTelemetry traces, OTLP over gRPC: `http://host:4317` or `https://`; requires the "
        "extra `tracing`. Without it there are no traces.",
    )


class CommonSettings(MetricsSettings):
    """Settings of every service that works on orders."""

    database_url: str = Field(
        default="sqlite:///data/imageblur.db",
        description="The database: `sqlite:///` and a path, or `postgresql://user:password@host/name`.",
    )
    broker_url: str = Field(
        default="redis://127.0.0.1:6379/0",
        description="Valkey or Redis: `redis://`, `rediss://` or `unix://`. It needs its own database number.",
    )
    blob_url: str = Field(
        default="data/blobs",
        description="Blob store of originals and results: a folder, or `s3://bucket/prefix`. Endpoint and region come "
        "from the usual `AWS_` variables, and so do credentials unless they are here: `s3://key:secret@bucket/prefix`.",
    )
    order_window: int = Field(
        default_factory=lambda: 2 * (os.cpu_count() or 1),
        ge=1,
        description="Images that may be queued or running, shared by the orders (at least one each), of each of the "
        "queues `blur` and `find`: about twice the number of child processes of all blur workers. With more, large "
        "orders delay small ones; with fewer, child processes are idle. Default: twice the cores.",
    )

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: str) -> str:
        if value.startswith("sqlite:///"):
            return value
        for scheme in ("postgresql+psycopg://", "postgresql://", "postgres://"):
            if value.startswith(scheme):
                return "postgresql+psycopg://" + value.removeprefix(scheme)
        raise ValueError("must start with sqlite:/// or postgresql://")

    @field_validator("broker_url")
    @classmethod
    def _known_broker(cls, value: str) -> str:
        if not value.startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("must start with redis://, rediss:// or unix://")
        return value


class SigningSettings(Settings):
    """Settings of services that make or verify signed tokens."""

    secret_key: SecretStr = Field(
        min_length=MIN_SECRET_LENGTH,
        description="Signs the tokens in e-mails; at least 32 characters, the same for gateway and mailer. `make run` "
        "creates one in its data folder.",
    )
    former_secret_keys: SecretStr = Field(
        default=SecretStr(""),
        description="Former secret keys, separated by commas, whose tokens are still accepted. To change "
        "IMAGEBLUR_SECRET_KEY, add the old one here, first at the gateways; links in e-mails work as long as it stays.",
    )

    @property
    def signing_keys(self) -> list[str]:
        """The key that signs, then those that only verify."""
        former = self.former_secret_keys.get_secret_value().split(",")
        return [self.secret_key.get_secret_value(), *(key.strip() for key in former if key.strip())]

    @field_validator("former_secret_keys")
    @classmethod
    def _long_enough(cls, value: SecretStr) -> SecretStr:
        if any(0 < len(key.strip()) < MIN_SECRET_LENGTH for key in value.get_secret_value().split(",")):
            raise ValueError(f"each key has at least {MIN_SECRET_LENGTH} characters")
        return value


class OutboundSettings(Settings):
    """To which addresses of callers the service connects, for gateway, mailer and blur worker."""

    allow_urls: bool = Field(
        default=True,
        description="Whether orders may name addresses that the service connects to: webhooks, and sources with "
        "https://. Only public IP addresses are connected to, unless IMAGEBLUR_ALLOWED_NETWORKS allows others.",
    )
    allowed_networks: str = Field(
        default="",
        description="Networks, separated by commas, that webhooks and sources may be in although they are not public: "
        "`10.1.2.0/24`. Everyone who may place orders can then send requests there. Certificates are verified by the "
        "system's authorities or the file that `SSL_CERT_FILE` names.",
    )

    @property
    def networks(self) -> tuple[IpNetwork, ...]:
        """Those networks."""
        return parse_networks(self.allowed_networks)

    @field_validator("allowed_networks")
    @classmethod
    def _known_networks(cls, value: str) -> str:
        parse_networks(value)
        return value


class PlaceSettings(Settings):
    """Folders and buckets that orders may name, for gateway and blur worker."""

    source_places: SecretStr = Field(
        default=SecretStr(""),
        description="Places that orders may read images from, by name: `photos=s3://bucket/prefix, scans=/srv/scans`. "
        "Folders are absolute paths, of which every blur worker and gateway sees the same content; buckets as in "
        "IMAGEBLUR_BLOB_URL. Holders of API keys can have every file there blurred as little as they like, so read it.",
    )
    target_places: SecretStr = Field(
        default=SecretStr(""),
        description="Places that orders may have their results written to, in the same notation. Files with the same "
        "key are replaced.",
    )
    places_keys: _KeyIds = Field(
        default="",
        description="IDs of API keys, separated by commas, that may use these places. Default: all keys, and callers "
        "on the gateway's machine where it requires none.",
    )

    @property
    def sources(self) -> Mapping[str, str]:
        """Locations of the places of sources by name."""
        return parse_places(self.source_places.get_secret_value())

    @property
    def targets(self) -> Mapping[str, str]:
        """Locations of the places of results by name."""
        return parse_places(self.target_places.get_secret_value())

    @property
    def places_principals(self) -> frozenset[str]:
        """Principals that may use the places; empty: all that have a key."""
        return _principals(self.places_keys)

    @field_validator("source_places", "target_places")
    @classmethod
    def _known_places(cls, value: SecretStr) -> SecretStr:
        parse_places(value.get_secret_value())
        return value


class VisitorSettings(Settings):
    """Settings that gateway and web pages share."""

    visitor_secret: SecretStr | None = Field(
        default=None,
        min_length=MIN_SECRET_LENGTH,
        description="Lets the web pages name their visitor's network address to the gateway, so that rate limits count "
        "each visitor; at least 32 characters, the same for gateway and web pages. Without it all visitors are one "
        "caller. `make run` and `deploy/secrets.sh` create one.",
    )


class MailingSettings(Settings):
    """Settings of the newsletter, for scheduler and mailer."""

    mailing_text_dir: Path | None = Field(
        default=None,
        description="Folder with the operator's own text of the newsletter: `en.txt`, `ru.txt` (see "
        "docs/mailing.md). Without it the e-mail has the week's numbers alone.",
    )
    mailing_zone: str = Field(
        default="UTC",
        description="Time zone of the newsletter, such as `Europe/Moscow`: of IMAGEBLUR_MAILING_DAY and _HOUR, of "
        "sending windows, and of readers whose time zone is not known.",
    )
    mailing_connections: int = Field(
        default=2,
        ge=1,
        description="Connections to the mail server that a mailing may use at once, over all mailers. Other e-mails "
        "have their own (IMAGEBLUR_MAILER_THREADS) and do not wait.",
    )

    @field_validator("mailing_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"{value!r} is not a time zone: use a name such as Europe/Moscow") from None
        return value


class RecipientSettings(Settings):
    """To whom results are e-mailed, for gateway and mailer."""

    unconfirmed_addresses: Literal["link", "results"] = Field(
        default="link",
        description="What an address gets that has not confirmed that it wants e-mails with results, since anyone may "
        "order for any address: `link`, one plain e-mail a day without images, file names or attachment, with a link "
        "to confirm; or `results`, which is safe only where all callers may be trusted. `make run` sets `results` as "
        "long as it keeps all e-mails in its own mailbox.",
    )
    results_keys: _KeyIds = Field(
        default="",
        description="IDs of API keys, separated by commas, whose orders are e-mailed with results to any address: of "
        "programs that know their users' addresses, not of the web pages.",
    )

    @property
    def trusted_principals(self) -> frozenset[str]:
        """Principals of the holders of those keys."""
        return _principals(self.results_keys)


class LimitSettings(Settings):
    """Limits that the gateway reports and the blur worker enforces."""

    max_image_bytes: int = Field(default=128 * _MIB, ge=1, description="Largest image file in bytes.")
    max_order_bytes: int = Field(
        default=4096 * _MIB,
        ge=1,
        description="Largest order, all images together, in bytes. Results of tiny files may be huge: once an order's "
        "results are together more than four times as large as this, those that are more than four times as large as "
        "their originals fail, and an order's results stay below about eight times this.",
    )
    min_free_mb: int = Field(
        default=256,
        ge=0,
        description="Free space in MiB of local disks with blobs or the database below which orders are refused, so "
        "that accepted orders can be finished.",
    )
    max_pixels: int = Field(default=120_000_000, ge=1, description="Maximum pixels of an image, over all frames.")
    max_frames: int = Field(
        default=3_000,
        ge=1,
        description="Maximum frames of an animation. Each costs time, however small it is: 3,000 of 1 pixel take "
        "about two seconds.",
    )
    max_pages: int = Field(default=1_000, ge=1, description="Maximum pages of a TIFF; as of frames.")
    max_segments: int = Field(
        default=50_000,
        ge=1,
        description="Maximum chunks of a PNG, marker segments of a JPEG, blocks of a GIF, strips and tiles of a TIFF, "
        "and tiles of a HEIF. Millions of empty ones fit into a small file, and each is looked at.",
    )
    max_scans: int = Field(
        default=100,
        ge=1,
        description="Maximum scans of a progressive JPEG, each of which goes over the whole image; encoders write ten.",
    )
    instant_seconds: int = Field(
        default=30,
        ge=1,
        le=500,
        description="Longest time that an instant call (BlurImage, FindRegions, PreviewImage) waits for its answer; "
        "then it fails with UNAVAILABLE and RetryInfo.",
    )


def metrics_port(default: int, service: str) -> Any:
    """Return the setting for the port of a service's metrics."""
    description = f"Port of the metrics of {service}, 0 for any free one; each on a machine needs its own."
    return Field(default=default, ge=0, le=65535, description=description)


def is_loopback(host: str) -> bool:
    """Return whether a host, by name or address, is the loopback interface."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
