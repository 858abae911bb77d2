"""The detector: perfect maps decode to the things they were made for."""

import torch
from torch import nn
from torch.nn import functional as F

from mini.judge.collages import COLOUR_LABELS, LABELS, SIZE_PX, Thing
from mini.judge.detector import CELL_PX, Detector, Maps, decode
from mini.judge.detector_training import MUON_RATE, NOTHING, Muon, labels_of, loss_of

COLUMNS, ROWS = (side // CELL_PX for side in SIZE_PX)
DOG = Thing("dog", "own", 60.0, 100.0, 90.0)
BLUE_CAR = Thing("car", "blue", 200.0, 50.0, 60.0)


def perfect_maps(*things: Thing) -> Maps:
    """What a network would say that had learned all."""
    labels = labels_of(things, rows=ROWS, columns=COLUMNS)
    noun, colour = (
        20 * F.one_hot(index.clamp(min=0), num).permute(2, 0, 1)[None].float()
        for index, num in ((labels.noun, len(LABELS)), (labels.colour, len(COLOUR_LABELS)))
    )
    return Maps(torch.logit(labels.middle, eps=1e-3)[None], noun, colour)


def test_perfect_maps_give_back_every_thing_once() -> None:
    found = decode(perfect_maps(DOG, BLUE_CAR), LABELS, COLOUR_LABELS)
    assert {(one.noun, one.colour) for one in found} == {("dog", "own"), ("car", "blue")}
    assert len(found) == 2


def test_a_thing_is_found_where_it_stands() -> None:
    (found,) = decode(perfect_maps(BLUE_CAR), LABELS, COLOUR_LABELS)
    assert abs(found.x * SIZE_PX[0] - BLUE_CAR.x_px) <= CELL_PX / 2
    assert abs(found.y * SIZE_PX[1] - BLUE_CAR.y_px) <= CELL_PX / 2


def test_four_of_a_kind_side_by_side_are_four() -> None:
    row = [Thing("dog", "own", 64.0 + 64 * k, 160.0, 58.0) for k in range(4)]
    assert len(decode(perfect_maps(*row), LABELS, COLOUR_LABELS)) == 4


def test_an_empty_picture_shows_nothing() -> None:
    assert decode(perfect_maps(), LABELS, COLOUR_LABELS) == []


def test_cells_far_from_any_thing_have_no_noun() -> None:
    labels = labels_of([DOG], rows=ROWS, columns=COLUMNS)
    assert labels.noun[6, 3] == LABELS.index("dog")
    assert labels.noun[0, 19] == NOTHING
    assert labels.middle.max() == 1


def test_perfect_maps_cost_less_than_wrong_ones() -> None:
    labels = labels_of([DOG], rows=ROWS, columns=COLUMNS)
    batch = type(labels)(*(part[None] for part in labels))
    assert loss_of(perfect_maps(DOG), batch) < 0.1 < loss_of(perfect_maps(BLUE_CAR), batch)


def test_any_size_gives_cells_of_sixteen_pixels() -> None:
    maps = Detector(("a", "b"), ("own",))(torch.zeros(1, 3, 96, 160))
    assert maps.middle_Bhw.shape == (1, 6, 10)
    assert maps.noun_BNhw.shape == (1, 2, 6, 10)


def test_muon_moves_matrices_as_pytorchs_own_does() -> None:
    torch.manual_seed(0)
    starts = [torch.randn(shape) for shape in ((8, 24), (24, 8))]
    ours, theirs = ([nn.Parameter(start.clone()) for start in starts] for _ in range(2))
    optimisers = Muon(ours, lr=MUON_RATE), torch.optim.Muon(theirs, lr=MUON_RATE, weight_decay=0.0)
    for _ in range(3):
        for one, other in zip(ours, theirs, strict=True):
            one.grad = torch.randn_like(one)
            other.grad = one.grad.clone()
        for optimiser in optimisers:
            optimiser.step()
    for start, one, other in zip(starts, ours, theirs, strict=True):
        # PyTorch's own rounds to bfloat16 on the way.
        assert (one - other).norm() < 0.03 * (other - start).norm()
