"""The Serve application: what Ray is told of replicas, from the command line and from a configuration file."""

import importlib
import warnings
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="the extra `ray` is not installed")

import yaml

with warnings.catch_warnings():
    # Ray's records use keywords that pydantic has given up.
    warnings.simplefilter("ignore", DeprecationWarning)
    from ray.serve.schema import ServeDeploySchema

from danqing.distributed.application import application
from danqing.distributed.replica_plan import ReplicaPlan
from danqing.engine.worker_options import WorkerOptions

OPTIONS = WorkerOptions(model=Path("/models/x"), device="cuda")
EXAMPLE = Path(__file__).parents[2] / "examples" / "ray_serve.yaml"


def deployment_of(plan: ReplicaPlan):
    return application(plan)._bound_deployment


def test_a_fixed_number_of_replicas_is_not_scaled():
    deployment = deployment_of(ReplicaPlan(options=OPTIONS, min_replicas=2, max_replicas=2, gpus_per_replica=4))
    assert deployment.num_replicas == 2
    assert deployment._deployment_config.autoscaling_config is None
    # All GPUs of one actor, which Ray places on one machine.
    assert deployment.ray_actor_options["num_gpus"] == 4


def test_a_range_of_replicas_follows_the_ongoing_requests():
    deployment = deployment_of(ReplicaPlan(options=OPTIONS, min_replicas=1, max_replicas=3, jobs_per_replica=6))
    scaling = deployment._deployment_config.autoscaling_config
    assert (scaling.min_replicas, scaling.max_replicas, scaling.target_ongoing_requests) == (1, 3, 3)
    assert deployment.max_ongoing_requests == 6


def test_a_replica_has_the_time_of_a_whole_job_to_stop():
    config = deployment_of(ReplicaPlan(options=OPTIONS, drain_seconds=600))._deployment_config
    assert config.graceful_shutdown_timeout_s == 600


def test_the_example_file_deploys_what_it_says():
    config = ServeDeploySchema.model_validate(yaml.safe_load(EXAMPLE.read_text(encoding="utf-8")))
    (served,) = config.applications
    module, _, name = served.import_path.partition(":")
    bound = getattr(importlib.import_module(module), name)(served.args)._bound_deployment
    assert (served.name, bound.name) == ("danqing", "engine")
    assert bound.init_args == (
        WorkerOptions(model=Path("/models/HunyuanImage-3.0-Instruct-Distil"), device="cuda", precision="fp8"),
    )


def test_only_what_a_replica_loads_makes_another_version_of_it():
    version = deployment_of(ReplicaPlan(options=OPTIONS)).version
    assert deployment_of(ReplicaPlan(options=OPTIONS, max_replicas=3, jobs_per_replica=2)).version == version
    assert deployment_of(ReplicaPlan(options=replace(OPTIONS, precision="fp8"))).version != version
