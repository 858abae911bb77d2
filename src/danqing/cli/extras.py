"""Extras: the libraries that a setting needs beyond the default install, and which of them are missing."""

from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from danqing.settings import Settings

# Setting, extra, the library that the setting needs of it.
EXTRAS = (
    ("storage_url", "s3", "obstore"),
    ("image_classifier", "safety", "transformers"),
    ("tracing_endpoint", "tracing", "opentelemetry"),
)


def missing_extras(settings: "Settings") -> list[str]:
    """Say of each setting whose library is not installed how to install it."""
    return [
        f"DANQING_{setting.upper()}: needs one more library: pip install 'danqing[{extra}]'"
        for setting, extra, library in EXTRAS
        if getattr(settings, setting) is not None and find_spec(library) is None
    ]
