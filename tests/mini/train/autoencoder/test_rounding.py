"""A rounded decoder holds numbers of bfloat16 alone and draws nearly what it drew before."""

import copy

import torch
from smooth_pictures import CHANNELS, smooth_examples
from torch import Tensor

from danqing.hunyuan_image3.vae import Vae
from mini.train.autoencoder.linear_start import start_linear
from mini.train.autoencoder.rounding import round_decoder, rounded, rounded_columns
from mini.train.checkpoint import model_config
from mini.train.recipe import Recipe


def test_errors_are_passed_on_to_inputs_that_go_together() -> None:
    generator = torch.Generator().manual_seed(0)
    common = torch.randn(400, 1, generator=generator)
    rows_ND = common + 0.05 * torch.randn(400, 16, generator=generator)
    solution_CD = torch.randn(8, 16, generator=generator)
    result_CD = rounded_columns(solution_CD, (rows_ND.T @ rows_ND / len(rows_ND)).double())
    assert torch.equal(result_CD, rounded(result_CD))

    def error(given_CD: Tensor) -> float:
        return float((rows_ND @ (given_CD - solution_CD).T).norm())

    assert error(result_CD) < 0.5 * error(rounded(solution_CD))


@torch.inference_mode()
def test_a_decoder_rounded_with_care_is_nearer_than_one_rounded_plainly() -> None:
    torch.manual_seed(0)
    exact = Vae(model_config(Recipe(latent_channels=CHANNELS, vae_block_channels=(64, 64, 64, 64))).vae)
    start_linear(exact, smooth_examples(0))
    careful, plain = copy.deepcopy(exact), copy.deepcopy(exact)
    round_decoder(careful, [code for code, _ in smooth_examples(1)[1:]])
    for parameter in plain.decoder.parameters():
        parameter.copy_(rounded(parameter))
    assert all(torch.equal(parameter, rounded(parameter)) for parameter in careful.decoder.parameters())
    code = smooth_examples(2)[1][0]
    wanted = exact.decode_unscaled(code)
    careful_error, plain_error = (float((vae.decode_unscaled(code) - wanted).norm()) for vae in (careful, plain))
    assert careful_error < 0.7 * plain_error
