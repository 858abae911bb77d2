"""Checks of everything that can keep a server from starting, before it starts. Makes no file and changes nothing."""

from collections.abc import Mapping

from danqing.cli.environment import describe_service_variables, service_variables, unknown_variables
from danqing.cli.extras import missing_extras
from danqing.cli.listeners import listen
from danqing.database import Database
from danqing.errors import OperatorError
from danqing.settings import Settings


def remarks(environment: Mapping[str, str]) -> list[str]:
    """What is worth a line and no problem."""
    names = service_variables(environment)
    return [describe_service_variables(names)] if names else []


def setup_problems(settings: Settings, environment: Mapping[str, str]) -> list[str]:
    """One line for each problem with the settings' names, libraries, folder, database and port."""
    problems = [*unknown_variables(environment), *missing_extras(settings)]
    for check in (_check_data_folder, _check_database, _check_port):
        try:
            check(settings)
        except OperatorError as error:
            problems.append(str(error))
    # Without a data folder there is no database either.
    return list(dict.fromkeys(problems))


def _check_data_folder(settings: Settings) -> None:
    if settings.needs_data_folder:
        _ = settings.data_folder


def _check_database(settings: Settings) -> None:
    database = Database(settings.database_location)
    try:
        database.check()
    finally:
        database.close()


def _check_port(settings: Settings) -> None:
    own_ports = range(settings.port + 1, settings.port + settings.workers + 1) if settings.workers > 1 else ()
    for port in (settings.port, *own_ports):
        for listener in listen(settings.host, port):
            listener.close()
