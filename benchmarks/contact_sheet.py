"""Draw 48 held-out prompts with a checkpoint as one sheet: `python benchmarks/contact_sheet.py [FILE]`.

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
from danqing.training.evaluation.showcase import sheet_prompts

BUNDLED = Path(danqing.__path__[0]) / "checkpoints" / "mini"
FILE = Path("docs/images/contact-sheet.png")
NUM_COLUMNS, CELL_WIDTH_PX, CELL_HEIGHT_PX = 6, 400, 240


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, nargs="?", default=FILE, metavar="FILE")
    parser.add_argument("--model", type=Path, default=BUNDLED, metavar="DIR")
    arguments = parser.parse_args()
    pipeline = Pipeline.load(arguments.model)
    pictures = [(prompt, draw(pipeline, prompt)) for prompt in tqdm(sheet_prompts())]
    page = sheet(pictures, num_columns=NUM_COLUMNS, width_px=CELL_WIDTH_PX, height_px=CELL_HEIGHT_PX)
    page.save(arguments.file)
    print(f"{arguments.file}: {len(pictures)} prompts, {pipeline.description}")


if __name__ == "__main__":
    main()
