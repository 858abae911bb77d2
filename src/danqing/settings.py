"""The server's settings, typed and described; each process reads them once from `DANQING_*` variables.

`app` passes them on as plain values. docs/settings.md is generated from this file.
"""

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, HttpUrl, IPvAnyNetwork, SecretStr, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from danqing.errors import SettingError
from danqing.memory_size import memory_size
from danqing.pictures.request import GUIDANCE_SCALE, NO_STEP_REUSE, NUM_INFERENCE_STEPS
from danqing.safety.image_check import OPENNSFW
from danqing.safety.verdict import NO_CHECKER

ENVIRONMENT_PREFIX = "DANQING_"
MIN_CONNECTIONS = 32
MAX_WORKERS = 64
MAX_PORT = 65_535
# Addresses to listen on that clients cannot connect to.
ANY_ADDRESS = frozenset({"0.0.0.0", "::"})
DEFAULT_DATA_DIR = Path("~/.local/share/danqing")
# What Kubernetes sets `DANQING_PORT` to if a Service is called `danqing`.
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
        # No HOME, and no entry for the user in the password file. Commands that need no folder still work.
        return None


def _bucket_url(url: str) -> str:
    if BUCKET_URL.match(url) is None:
        raise ValueError("must be s3://bucket or s3://bucket/prefix")
    return url


_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")

MAX_SYSTEM_PROMPT_CHARACTERS = 20_000

Seconds = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
MemorySize = Annotated[int, BeforeValidator(memory_size), Field(ge=1)]
# `~` and `~user` stand for home folders.
ExpandedPath = Annotated[Path, AfterValidator(_expanded)]
BucketUrl = Annotated[str, AfterValidator(_bucket_url)]


def _split_networks(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


# One or several, as `192.168.1.0/24` or a single address.
Networks = Annotated[tuple[IPvAnyNetwork, ...], NoDecode, BeforeValidator(_split_networks)]


def _known_image_check(value: str) -> str:
    if value in (OPENNSFW, NO_CHECKER) or _HUB_ID.fullmatch(value):
        return value
    folder = _expanded(Path(value))
    if not folder.is_dir():
        raise ValueError(
            f"must be `{OPENNSFW}`, `{NO_CHECKER}`, an existing folder with a classifier, or a hub id such as"
            " `Falconsai/nsfw_image_detection`"
        )
    return str(folder)


class Settings(BaseSettings):
    """The server's options. Each is the environment variable `DANQING_` plus its name in capitals.

    A variable that is set and empty counts as unset.
    """

    model_config = SettingsConfigDict(env_prefix=ENVIRONMENT_PREFIX, frozen=True, extra="forbid")

    # Data
    data_dir: ExpandedPath | None = Field(
        default_factory=_default_data_dir, description="Folder for the database and the pictures; created if missing."
    )
    database_url: str | None = Field(
        None, description="`postgresql://…` for a shared database. Unset: an SQLite file in the data folder."
    )
    storage_url: BucketUrl | None = Field(
        None,
        description="`s3://bucket/prefix` (extra `s3`; credentials and endpoint from the usual `AWS_*` variables)."
        " Unset: a folder in the data folder.",
    )
    presigned_links: bool = Field(
        False,
        description="Links to pictures in a bucket redirect to links of the bucket itself, signed for as long as they"
        " live, so that pictures do not pass through this server. Clients must reach the bucket's endpoint.",
    )
    file_lifetime_seconds: Count | None = Field(
        604_800, description="Lifetime of a picture's link. Afterwards it returns 410, and the file is deleted."
    )
    file_cleanup_interval_seconds: Seconds = Field(600, description="Time between two clean-ups of expired pictures.")

    # Engine
    engine: Literal["local", "ray", "upstream"] = Field(
        "local",
        description="Who draws: a process of this server (`local`), the replicas of `danqing ray deploy` (`ray`, extra"
        " `ray`), or another server that speaks OpenAI's Images API (`upstream`).",
    )
    ray_address: str | None = Field(
        None,
        description="Ray cluster, such as `head:6379`; for `ray`. Unset: the one that this machine belongs to. `local`"
        " starts one here with a single replica, for trying.",
    )
    upstream_url: HttpUrl | None = Field(
        None, description="Base URL of the other server, such as `http://gpu-1:8091/v1`; for `upstream`."
    )
    upstream_api_key: SecretStr | None = Field(None, description="API key of the other server, if it needs one.")
    upstream_model: str | None = Field(
        None, description="Model to ask the other server for. Unset: the first one that it lists."
    )
    upstream_timeout_seconds: Seconds = Field(
        300, description="Time limit for one picture on the other server; then the job ends with 504."
    )

    # Model
    model: ExpandedPath | None = Field(None, description="Checkpoint folder. Unset: the bundled `mini` checkpoint.")
    device: str = Field(
        "cpu",
        description="Device of the model, in PyTorch's notation: `cpu`, `cuda`, `cuda:1`; several with commas between,"
        " as in `cuda:0,cuda:1`, share its layers.",
    )
    device_memory: MemorySize | None = Field(
        None,
        description="Memory that the model may use on each device, such as `12GB` or `12GiB`. Unset: 90 % of what there"
        " is. What does not fit is read from host memory or disk at each step.",
    )
    host_memory: MemorySize | None = Field(
        None, description="Host memory that the model may use, such as `48GB`. Unset: 90 % of what there is."
    )
    precision: Literal["float32", "bfloat16", "fp8", "int8", "int4"] | None = Field(
        None,
        description="Precision of the model. Unset: as a converted checkpoint is stored; else `bfloat16` if the device"
        " computes it natively, or `float32`. `fp8`, `int8` and `int4` round the experts while they load.",
    )
    compile: bool = Field(
        False,
        description="Fuse element-wise work of the model by PyTorch's compiler, on GPUs alone. The first start compiles"
        " for minutes; the kernels are kept in the data folder. Not yet run on a GPU.",
    )
    system_prompt: str | None = Field(
        None,
        description="System prompt of an instruct checkpoint: `None`, `custom`, `dynamic`, or a name from the"
        " checkpoint's own files such as `en_unified`. Unset: `custom` where there is a text, else the checkpoint's"
        " choice.",
    )
    system_prompt_text: str | None = Field(
        None,
        max_length=MAX_SYSTEM_PROMPT_CHARACTERS,
        description="The text of `custom`, and of `dynamic` for the task `think_recaption`. `custom` without a text"
        " means none.",
    )
    expansion_task: Literal["think", "recaption", "think_recaption"] | None = Field(
        None,
        description="What an instruct checkpoint writes to expand a prompt: a thought, a caption, or both. Unset: the"
        " checkpoint's choice.",
    )
    default_steps: Annotated[int, Field(ge=NUM_INFERENCE_STEPS.least, le=NUM_INFERENCE_STEPS.most)] | None = Field(
        None,
        description="`num_inference_steps` of requests that name none. Unset: the checkpoint's own value if it is"
        f" distilled or instruct, else {NUM_INFERENCE_STEPS.default}.",
    )
    default_guidance: Annotated[float, Field(ge=GUIDANCE_SCALE.least, le=GUIDANCE_SCALE.most)] | None = Field(
        None,
        description="`guidance_scale` of requests that name none. Unset: the checkpoint's own value if it is distilled"
        f" or instruct, else {GUIDANCE_SCALE.default}.",
    )
    default_step_reuse: Literal["none", "third", "half"] = Field(
        NO_STEP_REUSE,
        description="`step_reuse` of requests that name none: the share of the steps whose prediction is extrapolated"
        " from the two before instead of computed. Faster, with slightly other pictures.",
    )

    # Safety
    image_check: Annotated[str, AfterValidator(_known_image_check)] = Field(
        OPENNSFW,
        description="Check of pictures: `opennsfw`, which needs no download; the folder or hub id of a transformers"
        " classifier (extra `safety`), such as `Falconsai/nsfw_image_detection`; or `none`. `meta.safety` names it.",
    )
    image_check_threshold: float = Field(
        0.5, gt=0, le=1, description="A picture that scores at least this probability is replaced by a black one."
    )

    # The address
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=0, le=MAX_PORT, description="Port to listen on; 0 picks a free one.")
    workers: int = Field(
        1,
        ge=1,
        le=MAX_WORKERS,
        description="API processes that share the port; `DANQING_ENGINE` must be `ray` or `upstream` for more than one."
        " Each also listens on a port of its own, counted from the one above `DANQING_PORT`.",
    )
    keep_alive_seconds: Seconds = Field(
        75,
        description="How long idle connections stay open. Keep it above the idle time of your proxy and clients, so"
        " that none sends a request into a connection that just closed.",
    )
    public_url: HttpUrl | None = Field(
        None,
        description="Base URL of links, for servers behind a proxy. Unset: the address that the client called, "
        "and `http://HOST:PORT` in webhooks.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Lowest level that is logged.")
    log_format: Literal["auto", "json", "text"] = Field(
        "auto", description="One JSON object per line, or plain text. `auto`: text on a terminal, else JSON."
    )
    metrics_token: SecretStr | None = Field(
        None, description="Bearer token that `/metrics` asks for. Unset: anyone who reaches the server reads it."
    )
    tracing_endpoint: HttpUrl | None = Field(
        None,
        description="OpenTelemetry collector that accepts traces over HTTP, such as `http://localhost:4318/v1/traces`"
        " (extra `tracing`). Unset: no traces.",
    )

    # Limits
    max_body_bytes: Count = Field(1_048_576, description="Largest request body; a larger one gets 413.")
    max_connections: int = Field(
        4_096,
        ge=MIN_CONNECTIONS,
        description="Connections at once. Above it, the connection that has waited longest for a request is closed."
        " A lower limit of open files lowers it.",
    )
    max_queued_jobs: Count = Field(512, description="Jobs that may wait; more get 503.")
    max_queued_jobs_per_account: Count = Field(256, description="Jobs of one account that may wait; more get 429.")
    max_concurrent_jobs: Count = Field(4, description="Jobs in the engine at once; it interleaves them step by step.")
    max_queue_seconds: Seconds = Field(600, description="Longest wait in the queue; then the job ends with 504.")
    job_time_limit_seconds: Seconds = Field(600, description="Longest time in the engine; then the job ends with 504.")
    lease_seconds: Seconds = Field(
        15,
        description="Lifetime of a process's lease on its jobs. Unless renewed, another process may take them over.",
    )
    drain_seconds: Seconds = Field(30, description="Time for running jobs to finish after SIGTERM.")
    requests_per_minute: Count = Field(6_000, description="Generation requests per minute and key; more get 429.")
    reads_per_minute: Count = Field(
        6_000, description="Other requests per minute and key: jobs, balance, usage, logs; more get 429."
    )
    max_concurrent_requests: Count = Field(
        256, description="Concurrent generation requests per key, and as many others; more get 429."
    )

    # Clients
    model_aliases: str = Field(
        "",
        description="Other names that requests may use for the model, separated by commas, such as"
        " `gpt-image-1,dall-e-3` for clients that know no other. A name of the `gpt-image` family gets `b64_json`.",
    )
    default_response_format: Literal["url", "b64_json"] = Field(
        "url", description="Format of a response whose request names none: a link, or the bytes."
    )

    # Webhooks
    webhook_allowed_networks: Networks = Field(
        (),
        description="Networks that webhooks may go to besides public addresses: `192.168.1.0/24,fd00::/8`.",
    )

    # Money
    starting_credits: int = Field(
        100_000_000, ge=0, description="Credits of the account that the first start creates; $1 is 2,000,000."
    )
    price_megapixel_credits: int = Field(
        210_000, ge=0, description="Price of an image per megapixel (2^20 px), rounded up."
    )
    low_balance_credits: int = Field(
        10_000, ge=0, description="The balance endpoint reports `lowBalance` below this balance."
    )

    # Prompt expansion
    expander: Literal["native", "remote", "none"] = Field(
        "native",
        description="Who expands prompts: the model itself, if its checkpoint has learned to (`native`); a chat"
        " endpoint (`remote`); nobody (`none`). An unexpanded prompt is drawn as given, and `meta.warnings` says so.",
    )
    expander_url: HttpUrl | None = Field(
        None, description="Base URL of an OpenAI-compatible API, such as `http://localhost:11434/v1`; for `remote`."
    )
    expander_model: str | None = Field(None, description="Name of the chat endpoint's model; for `remote`.")
    expander_api_key: SecretStr | None = Field(None, description="API key of the chat endpoint, if it needs one.")
    expander_timeout_seconds: Seconds = Field(
        60, description="Time limit for the model, or for each of two attempts at the chat endpoint."
    )

    @model_validator(mode="before")
    @classmethod
    def _without_unset(cls, values: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in values.items() if not _counts_as_unset(name, value)}

    @model_validator(mode="after")
    def _presigned_links_have_a_bucket(self) -> "Settings":
        if self.presigned_links and self.storage_url is None:
            raise ValueError("DANQING_PRESIGNED_LINKS needs a bucket in DANQING_STORAGE_URL")
        return self

    @model_validator(mode="after")
    def _remote_expander_is_complete(self) -> "Settings":
        if self.expander == "remote" and (self.expander_url is None or self.expander_model is None):
            raise ValueError("DANQING_EXPANDER=remote needs DANQING_EXPANDER_URL and DANQING_EXPANDER_MODEL")
        return self

    @model_validator(mode="after")
    def _upstream_has_a_url(self) -> "Settings":
        if self.engine == "upstream" and self.upstream_url is None:
            raise ValueError("DANQING_ENGINE=upstream needs DANQING_UPSTREAM_URL")
        return self

    @model_validator(mode="after")
    def _workers_share_their_engine(self) -> "Settings":
        if self.workers > 1 and self.engine == "local":
            raise ValueError(
                f"DANQING_WORKERS is {self.workers}, and with DANQING_ENGINE=local each of them would load the model"
                " again; use 1, or let replicas draw with DANQING_ENGINE=ray"
            )
        if self.workers > 1 and self.port and self.port + self.workers > MAX_PORT:
            raise ValueError(
                f"DANQING_WORKERS is {self.workers}, and there are not so many ports above DANQING_PORT {self.port}"
            )
        if self.workers > 1 and self.engine == "ray" and self.ray_address == "local":
            raise ValueError(
                f"DANQING_WORKERS is {self.workers}, and with DANQING_RAY_ADDRESS=local each of them would start a"
                " cluster; start one with ray start --head"
            )
        return self

    @model_validator(mode="after")
    def _only_gpus_compile(self) -> "Settings":
        if self.compile and self.engine != "upstream" and not self.device.startswith("cuda"):
            raise ValueError(f"DANQING_COMPILE is for GPUs, and DANQING_DEVICE is {self.device}; use cuda, or false")
        return self

    @model_validator(mode="after")
    def _system_prompt_text_is_used(self) -> "Settings":
        if self.system_prompt_text and self.system_prompt not in (None, "custom", "dynamic"):
            raise ValueError(
                "DANQING_SYSTEM_PROMPT_TEXT is the text of 'custom' or 'dynamic'; DANQING_SYSTEM_PROMPT is"
                f" {self.system_prompt!r}"
            )
        return self

    @property
    def effective_system_prompt(self) -> str | None:
        """The name of the system prompt; None leaves it to the checkpoint."""
        return self.system_prompt or ("custom" if self.system_prompt_text else None)

    @property
    def model_alias_names(self) -> frozenset[str]:
        """The other names of the model."""
        return frozenset(name.strip() for name in self.model_aliases.split(",") if name.strip())

    @property
    def data_folder(self) -> Path:
        """The data folder. Raises SettingError if none is set and there is no home folder."""
        if self.data_dir is None:
            raise SettingError("DANQING_DATA_DIR: set it to a folder that can be written; there is no home folder")
        return self.data_dir

    @property
    def needs_data_folder(self) -> bool:
        """Whether a server with these settings keeps anything in the data folder."""
        return self.database_url is None or self.storage_url is None or self.compile

    @property
    def database_location(self) -> str | Path:
        """The URL of the database, or the path of its SQLite file. Raises SettingError like `data_folder`."""
        return self.database_url or self.data_folder / "danqing.db"

    @property
    def base_url(self) -> str:
        """The server's URL for clients, without a slash at the end: `public_url`, or the address it listens on."""
        if self.public_url is not None:
            return str(self.public_url).rstrip("/")
        host = self.host.strip("[]")
        reachable = "localhost" if host in ANY_ADDRESS else f"[{host}]" if ":" in host else host
        return f"http://{reachable}:{self.port}"

    @property
    def file_lifetime(self) -> timedelta | None:
        """The lifetime of a picture's link; None if links never expire."""
        return None if self.file_lifetime_seconds is None else timedelta(seconds=self.file_lifetime_seconds)


def _counts_as_unset(name: str, value: object) -> bool:
    if not isinstance(value, str):
        return False
    return not value.strip() or (name == "port" and SERVICE_ADDRESS.match(value) is not None)
