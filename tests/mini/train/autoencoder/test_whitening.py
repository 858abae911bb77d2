"""White coordinates change how a layer learns, not what it computes."""

import torch

from mini.train.autoencoder.whitening import inverse_root, plain, whiten


def skewed_inputs() -> torch.Tensor:
    """[N, D]: far from zero, some larger than others."""
    generator = torch.Generator().manual_seed(0)
    return 3 + torch.randn(500, 18, generator=generator) * torch.logspace(-0.3, 0.3, 18)


def test_inputs_times_the_root_are_white() -> None:
    rows = skewed_inputs()
    white = rows @ inverse_root(rows.T @ rows / len(rows))
    assert torch.allclose(white.T @ white / len(white), torch.eye(18), atol=1e-2)


def test_directions_that_never_occur_do_not_grow_without_bound() -> None:
    rows = skewed_inputs()
    rows[:, 0] = 0
    assert inverse_root(rows.T @ rows / len(rows)).isfinite().all()


def test_a_whitened_layer_computes_the_same_and_its_plain_weights_are_the_old_ones() -> None:
    torch.manual_seed(0)
    layer = torch.nn.Conv2d(2, 5, 3, padding=1)
    weight, x = layer.weight.detach().clone(), torch.randn(1, 2, 6, 6)
    before = layer(x)
    rows = skewed_inputs()
    whiten(layer, rows.T @ rows / len(rows))
    assert torch.allclose(layer(x), before, atol=1e-5)
    state = plain({f"some.{name}": value for name, value in layer.state_dict().items()})
    assert state.keys() == {"some.weight", "some.bias"}
    assert torch.allclose(state["some.weight"], weight, atol=1e-5)


def test_coordinates_are_part_of_the_state() -> None:
    torch.manual_seed(0)
    first, second = torch.nn.Conv2d(2, 5, 3), torch.nn.Conv2d(2, 5, 3)
    rows = skewed_inputs()
    whiten(first, rows.T @ rows / len(rows))
    whiten(second)
    second.load_state_dict(first.state_dict())
    x = torch.randn(1, 2, 6, 6)
    assert torch.equal(first(x), second(x))
