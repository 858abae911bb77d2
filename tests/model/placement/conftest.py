"""Small checkpoints that the tests of placement share."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from placed_pipelines import load, outcome
from tiny_checkpoints import config_values, random_model, stored_tensors, write_checkpoint, write_distil, write_instruct

from danqing.hunyuan_image3.conversion import Conversion
from danqing.hunyuan_image3.precision import Precision


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    root = tmp_path_factory.mktemp("placement")
    values = config_values(num_hidden_layers=5)
    tensors = stored_tensors(random_model(values))
    base = write_checkpoint(root / "base", values, tensors)
    # As published: everything in bfloat16 but the router.
    published = {key: value if ".gate.wg." in key else value.bfloat16() for key, value in tensors.items()}
    source = write_checkpoint(root / "published", values, published)
    made = {
        "base": base,
        "instruct": write_instruct(root / "instruct"),
        "distil": write_distil(root / "distil"),
    }
    for precision in (Precision.INT4, Precision.FP8):
        made[precision.value] = root / precision.value
        Conversion(source, made[precision.value], precision, lambda progress: None).run()
    return made


@pytest.fixture(scope="session")
def resident(folders: Mapping[str, Path]) -> Mapping[str, bytes]:
    """What each draws with everything in memory."""
    return {name: outcome(load(folder, None), name) for name, folder in folders.items()}
