"""The real classifier path, with a small ViT trained here in a second: it calls red pictures nsfw, blue ones normal."""

import json
import os
import signal
from pathlib import Path

import pytest
import torch
from transformers import ViTConfig, ViTForImageClassification

from danqing.errors import Overloaded
from danqing.pictures.raster import Raster
from danqing.safety.classifier_check import ClassifierImageCheck

SIDE_PX = 16
PREPROCESSING = {"size": {"width": SIDE_PX, "height": SIDE_PX}, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}


def save_classifier(folder: Path, *, labels: tuple[str, str], num_steps: int) -> Path:
    torch.manual_seed(0)
    config = ViTConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        image_size=SIDE_PX,
        patch_size=SIDE_PX // 2,
        id2label=dict(enumerate(labels)),
        label2id={label: index for index, label in enumerate(labels)},
    )
    model = ViTForImageClassification(config)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    is_red = torch.tensor([1, 0] * 8)
    for _ in range(num_steps):
        pictures = torch.randn(16, 3, SIDE_PX, SIDE_PX) * 0.1
        pictures[:, 0] += is_red[:, None, None] * 2 - 1
        pictures[:, 2] -= is_red[:, None, None] * 2 - 1
        model(pixel_values=pictures, labels=is_red).loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(PREPROCESSING))
    return folder


def raster(red: int, green: int, blue: int) -> Raster:
    return Raster(width_px=40, height_px=24, rgb=bytes([red, green, blue]) * (40 * 24))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_classifier(tmp_path_factory.mktemp("classifier"), labels=("normal", "nsfw"), num_steps=60)


async def test_the_classifier_judges_each_picture_and_survives_its_own_death(folder):
    check = ClassifierImageCheck(str(folder), threshold=0.5)
    await check.start()
    try:
        assert (await check.check(raster(255, 0, 0))).flagged
        verdict = await check.check(raster(0, 0, 255))
        assert (verdict.flagged, verdict.checker) == (False, str(folder))
        assert check._process is not None
        os.kill(check._process.pid, signal.SIGKILL)
        assert (await check.check(raster(255, 0, 0))).flagged
    finally:
        await check.stop()


async def test_a_classifier_without_a_label_to_flag_is_refused(tmp_path):
    folder = save_classifier(tmp_path, labels=("cat", "dog"), num_steps=0)
    with pytest.raises(Overloaded, match="cannot be loaded"):
        await ClassifierImageCheck(str(folder), threshold=0.5).start()
