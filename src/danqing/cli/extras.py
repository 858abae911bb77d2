"""Extras: the libraries that a setting needs beyond the default install, and which of them are missing."""

from importlib.util import find_spec
from typing import TYPE_CHECKING

from danqing.safety.image_check import OPENNSFW
from danqing.safety.verdict import NO_CHECKER

if TYPE_CHECKING:
    from danqing.settings import Settings


NEEDS_RAY = "danqing ray needs one more library: pip install 'danqing[ray]'"


def missing_extras(settings: "Settings") -> list[str]:
    """Say for each setting whose library is not installed how to install it."""
    # Whether the setting needs it, the setting, the extra, its library.
    needs = (
        (settings.storage_url is not None, "STORAGE_URL", "s3", "obstore"),
        (settings.image_check not in (OPENNSFW, NO_CHECKER), "IMAGE_CHECK", "safety", "transformers"),
        (settings.engine == "ray", "ENGINE", "ray", "ray"),
        (settings.tracing_endpoint is not None, "TRACING_ENDPOINT", "tracing", "opentelemetry"),
    )
    return [
        f"DANQING_{setting}: needs one more library: pip install 'danqing[{extra}]'"
        for needed, setting, extra, library in needs
        if needed and find_spec(library) is None
    ]
