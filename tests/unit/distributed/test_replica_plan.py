"""The plan of a deployment, as configuration files give it."""

from pathlib import Path

import pytest
import yaml

from danqing.distributed.replica_plan import read_plan
from danqing.errors import InvalidRequest

EXAMPLE = Path(__file__).parents[3] / "examples" / "ray_serve.yaml"


def test_the_example_file_is_a_plan():
    (served,) = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))["applications"]
    plan = read_plan(served["args"])
    assert (plan.min_replicas, plan.max_replicas, plan.options.precision) == (1, 4, "fp8")


def test_folders_of_a_configuration_file_become_paths():
    options = read_plan({"model": "/m", "kernel_folder": "/data/kernels"}).options
    assert (options.model, options.kernel_folder) == (Path("/m"), Path("/data/kernels"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "args: model is missing"),
        ({"model": "/m", "gpus": 1}, "args: unknown: gpus; known: device, "),
        ({"model": "/m", "min_replicas": 3}, "replicas: the least is 3 and the most 1"),
        ({"model": "/m", "jobs_per_replica": 0}, "jobs_per_replica: must be 1 or more"),
    ],
)
def test_wrong_arguments_of_a_configuration_file_are_named(arguments, message):
    with pytest.raises(InvalidRequest) as raised:
        read_plan(arguments)
    assert raised.value.message.startswith(message)
