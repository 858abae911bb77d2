"""The process that holds the picture classifier: `python -m danqing.safety.classifier_worker SOURCE`. Needs the extra
`safety`.

Reads pictures from standard input and writes one JSON line for each to standard output. It is a process of its own for
the same reasons as the one that draws: the server never imports torch, and outlives whatever happens here.
"""

import json
import os
import struct
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import torch
from huggingface_hub import snapshot_download
from PIL import Image
from transformers import AutoModelForImageClassification

# Width, height; then three bytes a pixel.
HEADER = struct.Struct(">II")
# What published classifiers of this kind call the pictures that they are there to find.
FLAGGED_LABELS = ("nsfw", "porn", "hentai", "explicit", "unsafe")
DEFAULT_MEAN_STD = (0.5, 0.5, 0.5)
DEFAULT_SIDE_PX = 224


class Classifier:
    """An image classifier in the published layout: `config.json`, `preprocessor_config.json`, weights."""

    def __init__(self, folder: Path) -> None:
        """Load it. Raises ValueError when none of its labels is one to flag."""
        self._model = AutoModelForImageClassification.from_pretrained(folder, local_files_only=True).eval()
        labels = {index: str(label).lower() for index, label in self._model.config.id2label.items()}
        self._flagged_indices = [int(index) for index, label in labels.items() if label in FLAGGED_LABELS]
        if not self._flagged_indices:
            raise ValueError(f"the classifier's labels are {sorted(labels.values())}; expected one of {FLAGGED_LABELS}")
        self._preprocessing = json.loads((folder / "preprocessor_config.json").read_text())

    def score(self, image: Image.Image) -> float:
        """Give the probability that the picture must be flagged."""
        with torch.inference_mode():
            logits = self._model(pixel_values=self._pixels(image)).logits[0]
        return float(logits.softmax(-1)[self._flagged_indices].sum())

    def _pixels(self, image: Image.Image) -> torch.Tensor:
        size = self._preprocessing.get("size", {})
        width_px, height_px = size.get("width", DEFAULT_SIDE_PX), size.get("height", DEFAULT_SIDE_PX)
        resized = image.resize((width_px, height_px), Image.Resampling.BILINEAR)
        values = torch.frombuffer(bytearray(resized.tobytes()), dtype=torch.uint8)
        values = values.reshape(height_px, width_px, 3).permute(2, 0, 1).float() / 255
        mean = torch.tensor(self._preprocessing.get("image_mean", DEFAULT_MEAN_STD))
        std = torch.tensor(self._preprocessing.get("image_std", DEFAULT_MEAN_STD))
        return ((values - mean[:, None, None]) / std[:, None, None])[None]


def main(arguments: Sequence[str]) -> None:
    """Say {"ready": true} or {"error": …}, then answer pictures until the input ends."""
    # What libraries print must not mix with our answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    source = arguments[0]
    try:
        classifier = Classifier(Path(source) if Path(source).is_dir() else Path(snapshot_download(source)))
    except Exception as error:  # whatever it is, the server must hear it
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}), file=answers)
        return
    print(json.dumps({"ready": True}), file=answers)
    while (image := _read_image(sys.stdin.buffer)) is not None:
        print(json.dumps({"score": classifier.score(image)}), file=answers)


def _read_image(stream: BinaryIO) -> Any:
    header = stream.read(HEADER.size)
    if len(header) < HEADER.size:
        return None
    width_px, height_px = HEADER.unpack(header)
    return Image.frombytes("RGB", (width_px, height_px), stream.read(3 * width_px * height_px))


if __name__ == "__main__":
    main(sys.argv[1:])
