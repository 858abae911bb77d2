"""The curve of quality: every snapshot is judged once, with its own weights."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from danqing.hunyuan_image3.pipeline import Pipeline
from danqing.hunyuan_image3.precision import Precision
from danqing.hunyuan_image3.vae import Vae
from mini.judge.detector import Detection
from mini.judge.evaluation import add_to_curve, judge_snapshot, read_curve, unjudged
from mini.judge.prompts import evaluation_prompts
from mini.train.checkpoint import export, model_config
from mini.train.latents import LinearCode
from mini.train.recipe import Recipe
from mini.train.transformer import TransformerTraining

CPU = torch.device("cpu")


class Watcher:
    """Stands in for the detector: sees nothing and remembers the pictures."""

    def __init__(self) -> None:
        self.pictures: list[Tensor] = []

    def detect(self, picture_3HW: Tensor) -> Sequence[Detection]:
        self.pictures.append(picture_3HW)
        return []


@pytest.fixture
def pipeline(tmp_path: Path, recipe: Recipe, tokenizer_file: Path) -> Pipeline:
    """With weights of its own, which a snapshot replaces."""
    training = TransformerTraining(recipe, tmp_path, dtype=torch.float32, device=CPU)
    training.save()
    torch.save({"vae": Vae(model_config(recipe).vae).state_dict()}, tmp_path / "autoencoder.pt")
    (tmp_path / "mini").mkdir()
    (tmp_path / "mini" / "tokenizer.json").write_bytes(tokenizer_file.read_bytes())
    export(recipe, tmp_path, network=training.network())
    return Pipeline.load(tmp_path / "mini", precision=Precision.FLOAT32)


def test_a_snapshot_is_judged_by_pictures_of_its_own_weights(
    tmp_path: Path, pipeline: Pipeline, code: LinearCode
) -> None:
    weights = {name: value for name, value in pipeline.model.state_dict().items() if not name.startswith("vae.")}
    blank, other = tmp_path / "000000001.pt", tmp_path / "000000002.pt"
    torch.save(weights, blank)
    torch.manual_seed(0)
    torch.save({name: value + 0.05 * torch.randn(value.shape) for name, value in weights.items()}, other)
    prompts = evaluation_prompts(1)[:2]
    seen = []
    for path in (blank, other, blank):
        watcher = Watcher()
        verdicts = judge_snapshot(path, pipeline, code, watcher, prompts)  # type: ignore[arg-type]
        assert [verdict.is_right for verdict in verdicts] == [False, False]
        assert [tuple(picture.shape) for picture in watcher.pictures] == [(3, 192, 320)] * 2
        seen.append(torch.stack(watcher.pictures))
    assert torch.equal(seen[0], seen[2])
    assert not torch.allclose(seen[0], seen[1], atol=1e-2)


def test_every_snapshot_is_judged_once_the_earliest_first(tmp_path: Path) -> None:
    assert unjudged(tmp_path) == []
    (tmp_path / "snapshots").mkdir()
    for name in ("000065536.pt", "000032768.pt"):
        (tmp_path / "snapshots" / name).touch()
    assert [path.name for path in unjudged(tmp_path)] == ["000032768.pt", "000065536.pt"]
    add_to_curve(tmp_path, {"seen": 32768, "overall": 0.25})
    assert [path.name for path in unjudged(tmp_path)] == ["000065536.pt"]
    assert read_curve(tmp_path) == [{"seen": 32768, "overall": 0.25}]
    assert json.loads((tmp_path / "curve.jsonl").read_text()) == {"seen": 32768, "overall": 0.25}
