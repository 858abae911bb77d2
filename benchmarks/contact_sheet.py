"""Draw prompts with a checkpoint as two sheets: twelve that somebody may try first, and 48 held-out ones.

Nothing is selected: every picture is the first one drawn, with seed 1 and the wire's defaults. The first prompt is
the one of the API's documentation.
"""

import argparse
from pathlib import Path

from tqdm import tqdm

import danqing
from danqing.hunyuan_image3.pipeline import Pipeline
from danqing.training.evaluation.drawing import draw
from danqing.training.evaluation.sheet import sheet
from danqing.training.evaluation.showcase import FIRST_PROMPTS, sheet_prompts

BUNDLED = Path(danqing.__path__[0]) / "checkpoints" / "mini"
FOLDER = Path("docs/images")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER, metavar="FOLDER")
    parser.add_argument("--model", type=Path, default=BUNDLED, metavar="DIR")
    arguments = parser.parse_args()
    pipeline = Pipeline.load(arguments.model)
    print(pipeline.description)
    first = [(prompt, draw(pipeline, prompt)) for prompt in tqdm(FIRST_PROMPTS)]
    sheet(first, num_columns=3, width_px=640, height_px=384, num_lines=2).save(arguments.folder / "first-prompts.png")
    held_out = [(prompt, draw(pipeline, prompt)) for prompt in tqdm(sheet_prompts())]
    sheet(held_out, num_columns=6, width_px=400, height_px=240).save(arguments.folder / "contact-sheet.png")


if __name__ == "__main__":
    main()
