"""Every option of the server, typed and described; read once from `DANQING_*` by whoever starts a process.

Knows nothing of what the values are used for: `app` passes them on as plain values. docs/settings.md is made from here.
"""

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, HttpUrl, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from danqing.errors import SettingError

ENVIRONMENT_PREFIX = "DANQING_"
# Addresses to listen on that nobody can call.
ANY_ADDRESS = frozenset({"0.0.0.0", "::"})
DEFAULT_DATA_DIR = Path("~/.local/share/danqing")
# The form in which Kubernetes puts a Service's address into `DANQING_PORT` when the Service is called `danqing`.
SERVICE_ADDRESS = re.compile(r"(tcp|udp|sctp)://", re.IGNORECASE)
BUCKET_URL = re.compile(r"s3://[^/]")


def _expanded(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:
        raise ValueError(f"there is no home folder for {path.parts[0]}; write the whole path") from None


def _default_data_dir() -> Path | None:
    try:
        return DEFAULT_DATA_DIR.expanduser()
    except RuntimeError:
        # No HOME, and a user without an entry in the password file. Commands that need no folder still work.
        return None


def _bucket_url(url: str) -> str:
    if BUCKET_URL.match(url) is None:
        raise ValueError("must be s3://bucket or s3://bucket/prefix")
    return url


Seconds = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
# `~` and `~user` stand for home folders.
ExpandedPath = Annotated[Path, AfterValidator(_expanded)]
BucketUrl = Annotated[str, AfterValidator(_bucket_url)]


class Settings(BaseSettings):
    """The server's options. Each is the environment variable `DANQING_` plus its name in capitals.

    A variable that is set and empty counts as unset.
    """

    model_config = SettingsConfigDict(env_prefix=ENVIRONMENT_PREFIX, frozen=True, extra="forbid")

    # Where things are
    data_dir: ExpandedPath | None = Field(
        default_factory=_default_data_dir, description="Folder for the database and the pictures; created when missing."
    )
    database_url: str | None = Field(
        None, description="`postgresql://…` for a shared database. Unset: an SQLite file in the data folder."
    )
    storage_url: BucketUrl | None = Field(
        None,
        description="`s3://bucket/prefix` (extra `s3`; credentials and endpoint from the usual `AWS_*` variables)."
        " Unset: a folder in the data folder.",
    )
    file_lifetime_seconds: Count | None = Field(
        604_800, description="How long a picture's link works; afterwards it answers 410 and the file is deleted."
    )
    file_cleanup_interval_seconds: Seconds = Field(600, description="How often expired pictures are looked for.")

    # What draws
    model: ExpandedPath | None = Field(None, description="Checkpoint folder. Unset: the bundled `mini` checkpoint.")
    device: str = Field("cpu", description="Where the model runs, in PyTorch's words: `cpu`, `cuda`, `cuda:1`.")
    dtype: Literal["float32", "bfloat16", "fp8"] | None = Field(
        None,
        description="Arithmetic of the model. Unset: the faster one of the first two that the processor really"
        " supports. `fp8` rounds the experts and nearly halves the memory of bfloat16.",
    )

    # Safety
    image_classifier: str | None = Field(
        None,
        description="Folder or hub id of the picture classifier (extra `safety`), such as"
        " `Falconsai/nsfw_image_detection`. Unset: nobody looks at the pictures, and `meta.safety` says so.",
    )
    image_classifier_threshold: float = Field(
        0.5, gt=0, le=1, description="A picture with at least this probability of a flagged label is delivered black."
    )

    # The address
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65_535, description="Port to listen on; 0 takes a free one.")
    keep_alive_seconds: Seconds = Field(
        75,
        description="How long an idle connection stays open for a next request. Longer than a proxy or client keeps its"
        " own end, so that none sends into a connection that just closed.",
    )
    public_url: HttpUrl | None = Field(
        None,
        description="Base of the links in answers, when a proxy hides it. Unset: what the client called, "
        "and `http://HOST:PORT` in webhooks.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged.")
    log_format: Literal["auto", "json", "text"] = Field(
        "auto", description="One JSON object a line, or plain text; `auto`: text on a terminal."
    )
    tracing_endpoint: HttpUrl | None = Field(
        None,
        description="OpenTelemetry collector that takes traces over HTTP, such as `http://localhost:4318/v1/traces`"
        " (extra `tracing`). Unset: no traces.",
    )

    # Limits
    max_body_bytes: Count = Field(1_048_576, description="Largest request body; a larger one gets 413.")
    max_queued_jobs: Count = Field(512, description="Jobs that may wait; more get 503.")
    max_queued_jobs_per_account: Count = Field(256, description="Jobs of one account that may wait; more get 429.")
    max_concurrent_jobs: Count = Field(
        4, description="Jobs in the engine at once; it works on them in turn, step by step."
    )
    max_queue_seconds: Seconds = Field(600, description="Longest wait in the queue; after it the job ends with 504.")
    job_time_limit_seconds: Seconds = Field(
        600, description="Longest time in the engine; after it the job ends with 504."
    )
    lease_seconds: Seconds = Field(
        15, description="After this long without a sign of life a process's jobs count as lost."
    )
    drain_seconds: Seconds = Field(30, description="How long running jobs may go on after SIGTERM.")
    requests_per_minute: Count = Field(6_000, description="Generation requests a minute of one key; more get 429.")
    max_concurrent_requests: Count = Field(256, description="Generation requests of one key at once; more get 429.")

    # Money
    starting_credits: int = Field(
        100_000_000, ge=0, description="Credits of the account that the first start creates; $1 is 2,000,000."
    )
    price_megapixel_credits: int = Field(210_000, ge=0, description="Price of an image per megapixel (2^20 px) begun.")
    low_balance_credits: int = Field(10_000, ge=0, description="Balance under which `lowBalance` is reported.")

    # Prompt expansion
    expander: Literal["native", "remote", "none"] = Field(
        "native",
        description="Who answers `enable_prompt_expansion`: the model itself, if its checkpoint has learned to;"
        " a chat endpoint; nobody. A prompt that is not expanded is drawn as given, and `meta.warnings` says so.",
    )
    expander_url: HttpUrl | None = Field(
        None, description="Base URL of an OpenAI-compatible API, such as `http://localhost:11434/v1`; for `remote`."
    )
    expander_model: str | None = Field(None, description="Model that the chat endpoint is asked for; for `remote`.")
    expander_api_key: SecretStr | None = Field(None, description="Key of the chat endpoint, if it wants one.")
    expander_timeout_seconds: Seconds = Field(
        60, description="Longest wait for the model, or for the chat endpoint in each of two attempts."
    )

    @model_validator(mode="before")
    @classmethod
    def _without_unset(cls, values: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in values.items() if not _counts_as_unset(name, value)}

    @model_validator(mode="after")
    def _remote_expander_is_complete(self) -> "Settings":
        if self.expander == "remote" and (self.expander_url is None or self.expander_model is None):
            raise ValueError("DANQING_EXPANDER=remote needs DANQING_EXPANDER_URL and DANQING_EXPANDER_MODEL")
        return self

    @property
    def data_folder(self) -> Path:
        """The data folder. Raises SettingError where none is set and there is no home folder."""
        if self.data_dir is None:
            raise SettingError("DANQING_DATA_DIR: set it to a folder that can be written; there is no home folder")
        return self.data_dir

    @property
    def needs_data_folder(self) -> bool:
        """Whether a server of these settings keeps anything in the data folder."""
        return self.database_url is None or self.storage_url is None

    @property
    def database_location(self) -> str | Path:
        """The URL of the database to open, or the path of its SQLite file. Raises SettingError like `data_folder`."""
        return self.database_url or self.data_folder / "danqing.db"

    @property
    def base_url(self) -> str:
        """Where clients reach the server, without a slash at the end: the public address, or the one it listens on."""
        if self.public_url is not None:
            return str(self.public_url).rstrip("/")
        host = self.host.strip("[]")
        reachable = "localhost" if host in ANY_ADDRESS else f"[{host}]" if ":" in host else host
        return f"http://{reachable}:{self.port}"

    @property
    def file_lifetime(self) -> timedelta | None:
        """How long a picture's link works; None for ever."""
        return None if self.file_lifetime_seconds is None else timedelta(seconds=self.file_lifetime_seconds)


def _counts_as_unset(name: str, value: object) -> bool:
    if not isinstance(value, str):
        return False
    return not value.strip() or (name == "port" and SERVICE_ADDRESS.match(value) is not None)
