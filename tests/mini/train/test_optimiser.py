"""Muon and AdamW behind one step, alone and in a team of two real processes that share every batch."""

import multiprocessing
import os
import socket
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from mini.train.optimiser import Optimiser, Team, is_matrix, orthogonalise

NUM_STEPS = 3
MUON_RATE = 0.02


class Network(nn.Module):
    """The names of the real one, at a size a test can follow."""

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        torch.manual_seed(0)
        layer = nn.ModuleDict({"proj": nn.Linear(6, 8, bias=False), "gate": nn.Linear(6, 4, bias=False)})
        self.model = nn.ModuleDict({"layers": nn.ModuleList([layer])})
        self.head = nn.Linear(8, 2)
        self.frozen = nn.Parameter(torch.ones(3), requires_grad=False)
        self.to(dtype)

    def loss(self, x: Tensor) -> Tensor:
        layer = self.model["layers"][0]
        hidden = layer["proj"](x) * layer["gate"](x).mean(-1, keepdim=True)
        return (self.head(hidden) - 1).square().mean()


def optimiser_of(network: Network) -> Optimiser:
    return optimiser_with(network, muon_rate=0.02, adam_rate=1e-2)


def optimiser_with(network: Network, *, muon_rate: float, adam_rate: float) -> Optimiser:
    return Optimiser(
        dict(network.named_parameters()),
        muon_rate=muon_rate,
        adam_rate=adam_rate,
        adam_betas=(0.9, 0.98),
        ema_decay=0.9,
        team=Team(),
    )


def train(network: Network, optimiser: Optimiser, steps: range) -> None:
    for step_index in steps:
        x = torch.randn(16, 6, generator=torch.Generator().manual_seed(step_index))
        network.loss(x.to(next(network.parameters()).dtype)).backward()
        optimiser.step(rate_share=1.0, step_index=step_index)


@pytest.mark.parametrize("shape", [(64, 64), (32, 128), (128, 32), (4, 48, 96)])
def test_orthogonalising_brings_every_singular_value_near_one(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    u, before, vh = torch.linalg.svd(torch.randn(shape), full_matrices=False)
    # Five iterations lift a hundredth of the largest, not every zero.
    spread = torch.logspace(0, -1.5, before.shape[-1])
    singular = torch.linalg.svdvals(orthogonalise(u * spread @ vh))
    assert singular.min() > 0.5
    assert singular.max() < 1.35


def test_orthogonalising_keeps_the_singular_vectors_and_ignores_the_scale() -> None:
    torch.manual_seed(0)
    matrix = torch.randn(32, 48)
    u, _, vh = torch.linalg.svd(matrix, full_matrices=False)
    out = orthogonalise(matrix)
    # In the basis of the singular vectors hardly anything is left beside the diagonal.
    turned = u.T @ out @ vh.T
    assert (turned - turned.diag().diag()).abs().max() < 0.1
    torch.testing.assert_close(orthogonalise(1000 * matrix), out, atol=0.05, rtol=0.05)


def test_orthogonalising_nothing_gives_nothing() -> None:
    assert torch.equal(orthogonalise(torch.zeros(4, 4)), torch.zeros(4, 4))


def test_muon_trains_the_matrices_of_layers_but_not_their_routers() -> None:
    square, vector = torch.zeros(2, 2), torch.zeros(2)
    assert is_matrix("model.layers.0.self_attn.qkv_proj.weight", square)
    assert is_matrix("model.layers.0.mlp.experts.down_proj", torch.zeros(4, 2, 2))
    assert not is_matrix("model.layers.0.mlp.gate.wg.weight", square)
    assert not is_matrix("model.layers.0.input_layernorm.weight", vector)
    assert not is_matrix("model.wte.weight", square)


def test_training_lowers_the_loss_and_leaves_frozen_parameters() -> None:
    network = Network()
    optimiser = optimiser_of(network)
    x = torch.randn(64, 6, generator=torch.Generator().manual_seed(999))
    before = network.loss(x).item()
    train(network, optimiser, range(60))
    assert network.loss(x).item() < 0.5 * before
    assert network.frozen.tolist() == [1, 1, 1]
    assert all(parameter.grad is None for parameter in network.parameters())


def test_steps_too_small_for_bfloat16_add_up_in_the_masters() -> None:
    network = Network(torch.bfloat16)
    optimiser = optimiser_with(network, muon_rate=1e-5, adam_rate=1e-5)
    before = {name: value.clone() for name, value in optimiser.state()["masters"].items()}
    train(network, optimiser, range(3))
    masters = optimiser.state()["masters"]
    for name, value in masters.items():
        assert value.dtype == torch.float32
        assert not torch.equal(value, before[name]), name
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            assert torch.equal(parameter, masters[name].bfloat16())


def test_the_average_follows_the_masters() -> None:
    network = Network()
    optimiser = optimiser_of(network)
    name = "head.weight"
    expected = network.head.weight.detach().clone()
    for step_index in range(4):
        train(network, optimiser, range(step_index, step_index + 1))
        decay = min(0.9, (1 + step_index) / (10 + step_index))
        expected = decay * expected + (1 - decay) * network.head.weight.detach()
    torch.testing.assert_close(optimiser.averaged()[name], expected)


def test_a_rate_of_nothing_moves_nothing() -> None:
    network = Network()
    optimiser = optimiser_of(network)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network.loss(torch.randn(4, 6)).backward()
    optimiser.step(rate_share=0.0, step_index=0)
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_a_restored_state_goes_on_exactly() -> None:
    whole = Network()
    train(whole, optimiser_of(whole), range(6))

    first = Network()
    first_optimiser = optimiser_of(first)
    train(first, first_optimiser, range(3))
    second = Network()
    second_optimiser = optimiser_of(second)
    second_optimiser.restore(first_optimiser.state())
    train(second, second_optimiser, range(3, 6))
    for name, value in whole.state_dict().items():
        assert torch.equal(second.state_dict()[name], value), name


def train_in_team(team: Team) -> dict[str, Tensor]:
    """Three steps of a network with matrices for Muon, one for each process and one more, and the rest for AdamW."""
    torch.manual_seed(0)
    layers = nn.ModuleList([nn.Linear(6, 6) for _ in range(3)])
    network = nn.ModuleDict({"model": nn.ModuleDict({"layers": layers}), "head": nn.Linear(6, 2)})
    optimiser = Optimiser(
        dict(network.named_parameters()),
        muon_rate=MUON_RATE,
        adam_rate=1e-2,
        adam_betas=(0.9, 0.98),
        ema_decay=0.9,
        team=team,
    )
    for step_index in range(NUM_STEPS):
        x = torch.randn(8, 6, generator=torch.Generator().manual_seed(step_index))[team.rank :: team.size]
        for layer in layers:
            x = torch.tanh(layer(x))
        (network["head"](x) - 1).square().mean().backward()
        optimiser.step(rate_share=1.0, step_index=step_index)
    return {**network.state_dict(), **{f"ema {name}": value for name, value in optimiser.averaged().items()}}


def train_as_member(rank: int, port: int, folder: Path) -> None:
    os.environ |= {"WORLD_SIZE": "2", "RANK": str(rank), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    team = Team.from_environment()
    assert (team.rank, team.size, team.leads) == (rank, 2, rank == 0)
    torch.save(train_in_team(team), folder / f"{rank}.pt")
    torch.distributed.destroy_process_group()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def test_two_processes_with_half_a_batch_each_train_as_one_with_the_whole(tmp_path: Path) -> None:
    context, port = multiprocessing.get_context("spawn"), free_port()
    members = [context.Process(target=train_as_member, args=(rank, port, tmp_path), daemon=True) for rank in range(2)]
    for member in members:
        member.start()
    whole = train_in_team(Team())
    for member in members:
        member.join()
        assert member.exitcode == 0
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    for name, value in whole.items():
        assert torch.equal(first[name], second[name]), name
        # Muon's iterations run in bfloat16, where a sum in another order may round the other way.
        torch.testing.assert_close(first[name], value, atol=MUON_RATE / 20, rtol=0)


def test_a_process_alone_is_its_own_team(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    team = Team.from_environment()
    assert team == Team(rank=0, size=1)
    assert team.leads
    tensor = torch.ones(2)
    team.add_up([tensor])
    assert tensor.tolist() == [1, 1]
