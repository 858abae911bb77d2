"""The image classifier's process: `python -m danqing.safety.classifier_worker SOURCE`.

A process of its own for the same reasons as the engine's: the server never imports torch, and survives its crashes.
"""

import sys
from collections.abc import Sequence
from typing import Protocol

from PIL import Image

from danqing.child_process import become_child
from danqing.safety.classifier_messages import COMMANDS, REPORTS, LoadFailed, Ready, Scored
from danqing.safety.image_check import OPENNSFW


class Classifier(Protocol):
    """A loaded classifier."""

    def score(self, image: Image.Image) -> float:
        """Return the probability, 0 to 1, that the image must be flagged."""


def load_classifier(source: str) -> Classifier:
    """Load the classifier called `source`: OPENNSFW, a folder or a hub id."""
    # Imported where they are needed: each brings its own runtime, and one of them an extra.
    if source == OPENNSFW:
        from danqing.safety.classifier_opennsfw import OpenNsfwClassifier

        return OpenNsfwClassifier()
    from danqing.safety.classifier_transformers import TransformersClassifier

    return TransformersClassifier(source)


def main(arguments: Sequence[str]) -> None:
    """Report Ready or LoadFailed, then score images until the input ends."""
    reports = become_child()
    try:
        classifier = load_classifier(arguments[0])
    except ModuleNotFoundError as error:
        REPORTS.send(LoadFailed(reason=f"it needs the extra `safety`: {error}"), reports)
        return
    except Exception as error:  # the server must hear of every kind
        REPORTS.send(LoadFailed(reason=f"{type(error).__name__}: {error}"), reports)
        return
    REPORTS.send(Ready(), reports)
    while (command := COMMANDS.read(sys.stdin.buffer)) is not None:
        raster = command.raster
        image = Image.frombytes("RGB", (raster.width_px, raster.height_px), raster.rgb)
        REPORTS.send(Scored(score=classifier.score(image)), reports)


if __name__ == "__main__":
    main(sys.argv[1:])
