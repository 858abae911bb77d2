"""The wheel holds the service with its bundled checkpoint, and nothing of the making of `mini`."""

from pathlib import Path

from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parents[1]


def test_the_wheel_holds_the_package_with_its_checkpoint_and_nothing_else() -> None:
    paths = {file.distribution_path for file in WheelBuilder(str(ROOT)).recurse_included_files()}
    assert "danqing/cli/main.py" in paths
    assert "danqing/checkpoints/mini/model.safetensors" in paths
    assert "danqing/checkpoints/mini/words.json" in paths
    assert "danqing/playground/console/index.html" in paths
    assert {path.split("/")[0] for path in paths} == {"danqing"}
