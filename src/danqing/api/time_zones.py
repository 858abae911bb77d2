"""Time zones by their canonical IANA names, exactly spelled: `Europe/Berlin`, `UTC`."""

from functools import cache
from importlib.resources import files
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema

from danqing.api.issues import complain, echo

# A link in the database, and the name that everybody uses.
UTC_NAME = "UTC"


@cache
def canonical_names() -> frozenset[str]:
    """Return the names of zones with rules of their own, and of zones that a country has.

    `Europe/Oslo` shares Berlin's rules, but it is Norway's zone. `US/Eastern` is a mere alias.
    """
    folder = files("tzdata.zoneinfo")
    rules = folder.joinpath("tzdata.zi").read_text(encoding="ascii").splitlines()
    countries = folder.joinpath("zone.tab").read_text(encoding="utf-8").splitlines()
    with_rules = {line.split()[1] for line in rules if line.startswith("Z ")}
    of_countries = {line.split("\t")[2] for line in countries if line and not line.startswith("#")}
    return frozenset({UTC_NAME} | with_rules | of_countries)


def _canonical(name: str) -> str:
    if name not in canonical_names():
        message = f"Must be a canonical IANA time zone such as Europe/Berlin or UTC, received '{echo(name)}'"
        raise complain("invalid_string", message, validation="timezone")
    return name


ZoneName = Annotated[str, AfterValidator(_canonical), WithJsonSchema({"type": "string", "example": "Europe/Berlin"})]
