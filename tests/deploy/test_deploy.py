"""The files of deploy/: they parse, name settings and metrics that exist, and their commands run."""

import ast
import configparser
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from danqing.app import create_app
from danqing.distributed.replica_plan import read_plan
from danqing.safety.image_check import NoImageCheck
from danqing.settings import Settings

DEPLOY = Path(__file__).parents[2] / "deploy"
FILES = sorted(path for path in DEPLOY.rglob("*") if path.is_file())
DANQING = Path(sys.executable).with_name("danqing")


def names(pattern: str, text: str) -> set[str]:
    return set(re.findall(pattern, text))


def yaml_documents(path: Path) -> list[dict]:
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


@pytest.mark.parametrize("path", [path for path in FILES if path.suffix == ".yaml"], ids=lambda path: path.name)
def test_yaml_files_parse(path):
    assert all(isinstance(document, dict) for document in yaml_documents(path))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_variable_is_a_setting(path):
    settings = {f"DANQING_{name.upper()}" for name in Settings.model_fields}
    # DANQING_NAME is an example of a line.
    assert names(r"\bDANQING_[A-Z_]+\b", path.read_text()) - {"DANQING_NAME"} <= settings


def test_every_metric_of_the_dashboard_exists(tmp_path):
    app = create_app(Settings(data_dir=tmp_path), image_check=NoImageCheck())
    families = names(r"(?m)^# HELP (\S+)", app.state.services.metrics.text().decode())
    app.state.services.database.close()
    dashboard = json.loads((DEPLOY / "monitoring" / "dashboard.json").read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    used = {name for expression in expressions for name in names(r"\b(?:danqing|http|process)_\w+", expression)}
    assert used
    # The text format names a histogram by its family.
    assert {name.removesuffix("_bucket") for name in used} <= families


def test_prometheus_scrapes_every_process_of_the_compose_file():
    (compose,), (prometheus,) = (
        yaml_documents(DEPLOY / folder / name)
        for folder, name in (("compose", "compose.yaml"), ("monitoring", "prometheus.yaml"))
    )
    processes = {f"{name}:8000" for name in compose["services"] if name.startswith("api-")}
    assert set(prometheus["scrape_configs"][0]["static_configs"][0]["targets"]) == processes
    assert names(r"server (api-\d+:\d+);", (DEPLOY / "compose" / "nginx.conf").read_text()) == processes


def test_variables_of_the_compose_files_are_in_the_example():
    texts = [(DEPLOY / "compose" / name).read_text() for name in ("compose.yaml", "ray.yaml")]
    wanted = names(r"\$\{([A-Z_0-9]+):\?", "".join(texts))
    assert names(r"(?m)^([A-Z_0-9]+)=", (DEPLOY / "compose" / ".env.example").read_text()) == wanted


def test_files_that_the_compose_file_mounts_exist():
    (compose,) = yaml_documents(DEPLOY / "compose" / "compose.yaml")
    mounts = [mount for service in compose["services"].values() for mount in service.get("volumes", ())]
    files = [mount.partition(":")[0] for mount in mounts if mount.startswith(".") and "certificates" not in mount]
    assert files
    assert all((DEPLOY / "compose" / file).is_file() for file in files)


def test_start_commands_are_commands_of_this_version():
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str
    unit.read(DEPLOY / "systemd" / "danqing.service")
    of_image = ast.literal_eval(re.findall(r"(?m)^CMD (.*)$", dockerfile)[-1])
    of_unit = unit["Service"]["ExecStart"].split()
    assert of_image[0] == Path(of_unit[0]).name == "danqing"
    assert of_image[1:] == of_unit[1:]
    subprocess.run([DANQING, *of_image[1:], "--help"], check=True, capture_output=True, timeout=60)


def shell_commands(value) -> list[list[str]]:
    """Every command in a document's `command` fields, those of a shell one by one."""
    if isinstance(value, list):
        return [found for each in value for found in shell_commands(each)]
    if not isinstance(value, dict):
        return []
    found = [found for name, each in value.items() if name != "command" for found in shell_commands(each)]
    command = value.get("command")
    if isinstance(command, list) and command[:2] == ["sh", "-c"]:
        return [*found, *(shlex.split(part.removeprefix("exec ")) for part in command[2].split(" && "))]
    return [*found, command] if isinstance(command, list) else found


RAY_FILES = [DEPLOY / "compose" / "ray.yaml", DEPLOY / "kubernetes" / "ray.yaml"]


@pytest.mark.parametrize("path", RAY_FILES, ids=lambda path: path.parent.name)
def test_commands_of_the_files_for_ray_are_commands_of_this_version(path):
    commands = [command for document in yaml_documents(path) for command in shell_commands(document)]
    ours = [command for command in commands if command[0] == "danqing"]
    assert ["danqing", "serve"] in ours
    for command in ours:
        subprocess.run([DANQING, *command[1:], "--help"], check=True, capture_output=True, timeout=60)
    rays = [command for command in commands if command[0] == "ray"]
    assert rays
    if (ray := DANQING.with_name("ray")).exists():
        for command in rays:
            subprocess.run([ray, *command[1:], "--help"], check=True, capture_output=True, timeout=60)


def test_the_ray_service_of_kubernetes_deploys_what_the_engine_looks_for():
    service, deployment = yaml_documents(DEPLOY / "kubernetes" / "ray.yaml")
    (served,) = yaml.safe_load(service["spec"]["serveConfigV2"])["applications"]
    plan = read_plan(served["args"])
    module, _, function = served["import_path"].partition(":")
    source = (DEPLOY.parent / "src" / Path(*module.split("."))).with_suffix(".py").read_text()
    tree = ast.parse(source)
    assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert f'APPLICATION = "{served["name"]}"' in source
    # The API processes join the head's Service, and read the same checkpoint.
    (api,) = deployment["spec"]["template"]["spec"]["containers"]
    assert f"--address={service['metadata']['name']}-head-svc:6379" in api["command"][2]
    environment = {each["name"]: each["value"] for each in api["env"]}
    assert (environment["DANQING_ENGINE"], environment["DANQING_MODEL"]) == ("ray", str(plan.options.model))
    # One replica fits one worker.
    (workers,) = service["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    (worker,) = workers["template"]["spec"]["containers"]
    assert worker["resources"]["limits"]["nvidia.com/gpu"] == plan.gpus_per_replica
    assert (workers["minReplicas"], workers["maxReplicas"]) == (plan.min_replicas, plan.max_replicas)
    # It stops only when its images are done.
    assert workers["template"]["spec"]["terminationGracePeriodSeconds"] > plan.drain_seconds


def test_extras_of_the_image_exist():
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    extras = re.findall(r"(?m)^ARG EXTRAS=(.*)$", dockerfile)
    extras += re.findall(r"EXTRAS: (.*)", (DEPLOY / "compose" / "ray.yaml").read_text())
    assert len(extras) == 2
    pyproject = (DEPLOY.parent / "pyproject.toml").read_text()
    assert all(re.search(rf"(?m)^{extra} = \[", pyproject) for line in extras for extra in line.split(","))
    assert re.search(r"(?m)^USER danqing$", dockerfile)


def test_a_process_is_given_longer_to_end_than_it_takes():
    drain_seconds = Settings.model_fields["drain_seconds"].default
    (compose,) = yaml_documents(DEPLOY / "compose" / "compose.yaml")
    deployment, _ = yaml_documents(DEPLOY / "kubernetes" / "api.yaml")
    _, with_ray = yaml_documents(DEPLOY / "kubernetes" / "ray.yaml")
    (stop,) = re.findall(r"TimeoutStopSec=(\d+)", (DEPLOY / "systemd" / "danqing.service").read_text())
    graces = [
        int(compose["services"]["api-1"]["stop_grace_period"].removesuffix("s")),
        *(each["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] - 10 for each in (deployment, with_ray)),
        int(stop),
    ]
    assert min(graces) > drain_seconds + 5
