"""A decoder that comes for as long as it runs."""

import weakref
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from placed_pipelines import load, outcome
from safetensors.torch import load_file, save_file
from torch import Tensor

from danqing.hunyuan_image3.errors import CheckpointError
from danqing.hunyuan_image3.pipeline import TextToImage
from danqing.hunyuan_image3.placement.streaming import WeightStream
from danqing.hunyuan_image3.precision import Precision
from danqing.hunyuan_image3.vae import Decoder

REQUEST = TextToImage(prompt="A red fox", num_inference_steps=2, guidance_scale=5.0, width_px=128, height_px=128)


@pytest.mark.parametrize("where", ["host", "whole layers on disk"])
def test_layers_buffers_are_gone_while_it_runs_and_its_weights_afterwards(
    folders: Mapping[str, Path], monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    # Of the memory, which views keep alive.
    buffers: list[weakref.ref[torch.UntypedStorage]] = []
    weights: list[weakref.ref[torch.UntypedStorage]] = []
    new_buffer, forward = WeightStream._new_buffer, Decoder.forward

    def recorded_buffer(self: WeightStream) -> object:
        buffer = new_buffer(self)
        buffers.append(weakref.ref(buffer.memory.untyped_storage()))
        return buffer

    def recorded_forward(self: Decoder, z: Tensor) -> Tensor:
        assert buffers
        assert all(each() is None for each in buffers)
        assert all(parameter.device.type == "cpu" for parameter in self.parameters())
        weights.extend(weakref.ref(parameter.untyped_storage()) for parameter in self.parameters())
        return forward(self, z)

    monkeypatch.setattr(WeightStream, "_new_buffer", recorded_buffer)
    monkeypatch.setattr(Decoder, "forward", recorded_forward)
    pipeline = load(folders["base"], where)
    # A second picture makes buffers anew.
    assert outcome(pipeline, "base") == outcome(pipeline, "base")
    num_streams = 1 if where == "host" else 2
    assert len(buffers) == 2 * 2 * num_streams
    assert weights
    assert all(each() is None for each in weights)


@pytest.mark.parametrize("where", ["host", "disk"])
def test_previews_between_steps_change_nothing(folders: Mapping[str, Path], where: str) -> None:
    drawn = []
    for pipeline in (load(folders["base"], None), load(folders["base"], where)):
        prefix = pipeline.prefill(REQUEST)
        steps = [(step.latent, pipeline.preview(step).tobytes()) for step in pipeline.denoise(prefix, seed=3)]
        drawn.append([(latent.numpy().tobytes(), preview) for latent, preview in steps])
    assert drawn[0] == drawn[1]


def test_files_in_another_form_are_read_as_loading_reads_them(folders: Mapping[str, Path]) -> None:
    decoded = []
    for where in (None, "decoder alone on disk"):
        pipeline = load(folders["base"], where, Precision.BFLOAT16)
        channels = pipeline.config.vae.latent_channels
        latent = torch.randn((1, channels, 4, 4), generator=torch.Generator().manual_seed(0)).bfloat16()
        with torch.inference_mode():
            decoded.append(pipeline.model.vae.decode(latent))
    assert decoded[0].dtype == torch.bfloat16
    assert torch.equal(*decoded)


def test_a_broken_decoder_fails_while_loading(folders: Mapping[str, Path], tmp_path: Path) -> None:
    for path in folders["base"].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    file = tmp_path / "model.safetensors"
    tensors = load_file(file)
    tensors["vae.decoder.conv_in.bias"] = tensors["vae.decoder.conv_in.bias"][1:].clone()
    save_file(tensors, file)
    with pytest.raises(CheckpointError, match=r"vae\.decoder\.conv_in\.bias.*shape"):
        load(tmp_path, "decoder alone on disk")
