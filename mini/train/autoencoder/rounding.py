"""A decoder rounded to bfloat16, as its file holds it, so that it still draws what it drew before.

The weights of its last convolutions are large and nearly cancel: rounded one by one, they draw grain. Here the rounding
error of every input of a convolution is passed on to the inputs that follow, as far as they can make up for it
(GPTQ, arXiv:2210.17323). The last convolution is fitted once more to what the layers before it have become.

Letters: C channels, D inputs of a convolution (channels * 3 * 3, and a constant).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from danqing.hunyuan_image3.vae import Vae, fold
from mini.train.autoencoder.growth import fitted, inputs_of, points, set_solution, solution_of

# Of each input's own strength, and of the mean one for inputs that never occur.
RIDGE, LEAST_RIDGE = 3e-6, 1e-12


@torch.no_grad()
def round_decoder(vae: Vae, codes: Sequence[Tensor]) -> None:
    """Round every weight of the decoder, in place; the codes, [B, C, h, w] each, show what its layers get."""
    decoder, patch = vae.decoder, vae.config.output_patch_size
    drawn = [vae.decode_unscaled(code) for code in codes]
    layers = [m for m in decoder.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3)]
    with_care = {id(parameter) for layer in layers for parameter in layer.parameters()}
    for parameter in decoder.parameters():
        if id(parameter) not in with_care:
            parameter.copy_(rounded(parameter))
    for layer in layers:
        inputs = inputs_of(layer, vae.decode_unscaled, codes)
        solution_CD = solution_of(layer)
        if layer is decoder.conv_out:
            pairs = zip(drawn, codes, strict=True)
            missing = [points(fold(was - vae.decode_unscaled(code), factors=(patch, patch))) for was, code in pairs]
            solution_CD = solution_CD + fitted(inputs, missing)[0]
        # In float32 the strong inputs' errors would drown the weak ones.
        products = [rows.double().T @ rows.double() for rows in inputs]
        spread_DD = torch.stack(products).sum(0) / sum(map(len, inputs))
        set_solution(layer, rounded_columns(solution_CD, spread_DD))


def rounded_columns(solution_CD: Tensor, spread_DD: Tensor) -> Tensor:
    """The solution rounded column by column, float32, for inputs of this mean product, float64."""
    influence_DD = _influence(spread_DD)
    rest_CD = solution_CD.double()
    result_CD = torch.empty_like(solution_CD)
    for d, influence_D in enumerate(influence_DD):
        result_CD[:, d] = rounded(rest_CD[:, d])
        error_C = (rest_CD[:, d] - result_CD[:, d]) / influence_D[d]
        rest_CD[:, d + 1 :].addr_(error_C, influence_D[d + 1 :], alpha=-1)
    return result_CD


def _influence(spread_DD: Tensor) -> Tensor:
    """The upper triangular factor of the inverse: how much each input can make up for those before it."""
    diagonal_D = spread_DD.diagonal()
    damped_DD = spread_DD + torch.diag(RIDGE * diagonal_D + LEAST_RIDGE * diagonal_D.mean())
    # The factor of the inverse is the inverse of the factor that begins at the other end.
    factor_DD = torch.linalg.cholesky(damped_DD.flip(0, 1)).flip(0, 1)
    return torch.linalg.solve_triangular(factor_DD, torch.eye(len(factor_DD)).to(factor_DD), upper=True)


def rounded(values: Tensor) -> Tensor:
    """The nearest numbers of bfloat16."""
    return values.to(torch.bfloat16).to(values.dtype)
