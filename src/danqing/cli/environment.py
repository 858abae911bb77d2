"""The process's environment before the settings are read: empty variables, and `DANQING_…` variables that are none."""

import difflib
import re
from collections.abc import Iterable, Mapping, MutableMapping

# Read by the libraries below us, which take an empty value for a value.
FOREIGN_NAME = re.compile(r"HOME|(AWS|OTEL|HF|XDG)_\w+")
# What Kubernetes tells every pod about the Services beside it, such as one called `danqing` or `danqing-db`.
SERVICE_NAME = re.compile(
    r"DANQING_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
# What the examples read: programs that call the service.
CLIENT_NAMES = frozenset(
    {"DANQING_URL", "DANQING_API_KEY", "DANQING_MANAGEMENT_KEY", "DANQING_WEBHOOK_SECRET"},
)


def drop_empty_variables(environment: MutableMapping[str, str]) -> None:
    """Remove the empty variables that other libraries would misread, here and in child processes."""
    for name in [name for name, value in environment.items() if not value and FOREIGN_NAME.fullmatch(name)]:
        del environment[name]


def service_variables(environment: Mapping[str, str]) -> list[str]:
    """The names that Kubernetes set for its Services."""
    from danqing.settings import SERVICE_ADDRESS

    return sorted(
        name
        for name, value in _own(environment)
        if SERVICE_NAME.fullmatch(name) or (name.endswith("_PORT") and SERVICE_ADDRESS.match(value))
    )


def describe_service_variables(names: Iterable[str]) -> str:
    """Say in one line that they are ignored."""
    return f"ignored what Kubernetes sets for a Service of this name: {', '.join(names)}"


def unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """One line for each `DANQING_…` variable that is no setting, with the setting of the nearest name."""
    from danqing.settings import ENVIRONMENT_PREFIX, Settings

    known = [ENVIRONMENT_PREFIX + name.upper() for name in Settings.model_fields]
    expected = {*known, *CLIENT_NAMES, *service_variables(environment)}
    return [_describe(name, known) for name, _ in sorted(_own(environment)) if name not in expected]


def _own(environment: Mapping[str, str]) -> list[tuple[str, str]]:
    # Settings are found in any case.
    return [
        (name.upper(), value) for name, value in environment.items() if name.upper().startswith("DANQING_") and value
    ]


def _describe(name: str, known: list[str]) -> str:
    nearest = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {nearest[0]}?" if nearest else "docs/settings.md lists them all"
    return f"{name} is not a setting and is ignored; {hint}"
