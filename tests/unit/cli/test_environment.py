"""Variables that look like settings are told apart: Kubernetes', a client's, and mistakes."""

import pytest

from danqing.cli.environment import drop_empty_variables, service_variables, unknown_variables

KUBERNETES = {
    "DANQING_SERVICE_HOST": "10.96.0.12",
    "DANQING_SERVICE_PORT": "8000",
    "DANQING_SERVICE_PORT_HTTP": "8000",
    "DANQING_PORT": "tcp://10.96.0.12:8000",
    "DANQING_PORT_8000_TCP": "tcp://10.96.0.12:8000",
    "DANQING_PORT_8000_TCP_PROTO": "tcp",
    "DANQING_PORT_8000_TCP_PORT": "8000",
    "DANQING_PORT_8000_TCP_ADDR": "10.96.0.12",
    "DANQING_DATABASE_SERVICE_HOST": "10.96.0.13",
    "DANQING_DATABASE_PORT": "tcp://10.96.0.13:5432",
}


def test_what_kubernetes_sets_is_recognised_and_no_mistake() -> None:
    environment = {**KUBERNETES, "DANQING_HOST": "0.0.0.0", "PATH": "/bin"}
    assert service_variables(environment) == sorted(KUBERNETES)
    assert unknown_variables(environment) == []


def test_a_port_of_ones_own_is_not_taken_for_theirs() -> None:
    assert service_variables({"DANQING_PORT": "8000"}) == []


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("DANQING_DATADIR", "did you mean DANQING_DATA_DIR?"),
        ("DANQING_MODLE", "did you mean DANQING_MODEL?"),
        ("DANQING_DATABASE_URI", "did you mean DANQING_DATABASE_URL?"),
        ("danqing_precison", "did you mean DANQING_PRECISION?"),
        ("DANQING_XYZZYXYZZY", "docs/settings.md lists them all"),
    ],
)
def test_a_name_that_is_no_setting_is_told_with_the_nearest_one(name: str, hint: str) -> None:
    (line,) = unknown_variables({name: "x"})
    assert line == f"{name.upper()} is not a setting and is ignored; {hint}"


def test_what_settings_clients_and_other_programs_read_is_no_mistake() -> None:
    environment = {"danqing_port": "1", "DANQING_API_KEY": "k", "DANQING_URL": "u", "DANQINGX": "1", "DANQING_TYPO": ""}
    assert unknown_variables(environment) == []


def test_empty_variables_of_the_libraries_are_dropped_and_others_kept() -> None:
    # An empty CUDA_VISIBLE_DEVICES has a meaning.
    kept = {"AWS_REGION": "eu-west-1", "CUDA_VISIBLE_DEVICES": "", "XAWS_ENDPOINT": ""}
    environment = {**kept, "HOME": "", "AWS_ENDPOINT_URL": "", "OTEL_SERVICE_NAME": "", "HF_HOME": ""}
    drop_empty_variables(environment)
    assert environment == kept
