"""The image classifier of a transformers checkpoint, in a folder or on the hub. Needs the extra `safety`."""

import json
from pathlib import Path

import torch
from huggingface_hub import snapshot_download
from PIL import Image
from transformers import AutoModelForImageClassification

# The names that published classifiers of this kind give to images that must be flagged.
FLAGGED_LABELS = ("nsfw", "porn", "hentai", "explicit", "unsafe")
DEFAULT_MEAN_STD = (0.5, 0.5, 0.5)
DEFAULT_SIDE_PX = 224


class TransformersClassifier:
    """An image classifier in the published layout: `config.json`, `preprocessor_config.json`, weights."""

    def __init__(self, source: str) -> None:
        """Load a folder, or download a hub id. Raises ValueError when it has none of FLAGGED_LABELS."""
        folder = Path(source) if Path(source).is_dir() else Path(snapshot_download(source))
        self._model = AutoModelForImageClassification.from_pretrained(folder, local_files_only=True).eval()
        labels = {index: str(label).lower() for index, label in self._model.config.id2label.items()}
        self._flagged_indices = [int(index) for index, label in labels.items() if label in FLAGGED_LABELS]
        if not self._flagged_indices:
            raise ValueError(f"the classifier's labels are {sorted(labels.values())}; expected one of {FLAGGED_LABELS}")
        self._preprocessing = json.loads((folder / "preprocessor_config.json").read_text())

    def score(self, image: Image.Image) -> float:
        """Return the probability, 0 to 1, that the image must be flagged."""
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
