"""Tiny networks in float32 on the CPU; the recorded ones where a published shape matters."""

from pathlib import Path

import pytest
from tiny_checkpoints import PARITY, config_values, random_model, stored_tensors, write_checkpoint

from danqing.hunyuan_image3.model import HunyuanImage3
from danqing.hunyuan_image3.pipeline import Pipeline
from danqing.hunyuan_image3.precision import Precision
from danqing.hunyuan_image3.tokenizer import Tokenizer


@pytest.fixture(scope="session")
def tiny_model() -> HunyuanImage3:
    return random_model(config_values())


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory, tiny_model: HunyuanImage3) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("checkpoint") / "tiny", config_values(), stored_tensors(tiny_model))


@pytest.fixture(scope="session")
def pipeline(tiny_folder: Path) -> Pipeline:
    return Pipeline.load(tiny_folder, precision=Precision.FLOAT32)


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    return Tokenizer.from_file(PARITY / "instruct" / "tokenizer.json")
