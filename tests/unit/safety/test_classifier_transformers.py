"""A transformers classifier, with a small ViT trained in a second: it calls red pictures nsfw, blue ones normal."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from transformers import ViTConfig, ViTForImageClassification

from danqing.safety.classifier_transformers import TransformersClassifier

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


def picture(red: int, green: int, blue: int) -> Image.Image:
    return Image.new("RGB", (40, 24), (red, green, blue))


def test_it_scores_the_probability_of_the_flagged_labels(tmp_path):
    folder = save_classifier(tmp_path, labels=("normal", "nsfw"), num_steps=60)
    classifier = TransformersClassifier(str(folder))
    assert classifier.score(picture(255, 0, 0)) > 0.9
    assert classifier.score(picture(0, 0, 255)) < 0.1


def test_a_classifier_without_a_label_to_flag_is_refused_with_its_labels(tmp_path):
    folder = save_classifier(tmp_path, labels=("cat", "dog"), num_steps=0)
    with pytest.raises(ValueError, match=r"labels are \['cat', 'dog'\]"):
        TransformersClassifier(str(folder))
