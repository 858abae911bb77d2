"""The autoencoder's decoder where it does not stay on its device: it comes for as long as it runs.

Meanwhile no layer runs, so that the buffers of streamed layers make room for it. The numbers that arrive are those that
a resident decoder would hold, bit for bit.

Not yet run on a GPU.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from danqing.hunyuan_image3.placement.streaming import Holders, Parts, WeightStream


class VisitingDecoder(nn.Module):
    """In place of a `Decoder`; holds no weight of its own."""

    def __init__(
        self,
        decoder: nn.Module,
        *,
        read: Callable[[Parts], None],
        device: torch.device,
        streams: Sequence[WeightStream],
    ) -> None:
        """`decoder` has no memory on the device; `read` fills its weights by name; `streams` are the device's."""
        super().__init__()
        # In a list, which PyTorch does not search for weights.
        self._decoder = [decoder]
        self._read, self._device, self._streams = read, device, streams
        holders = {
            f"{module_name}.{name}": (module, name)
            for module_name, module in decoder.named_modules()
            for name, _ in module.named_parameters(recurse=False)
        }
        self._holders = Holders(holders)
        self._shapes = {name: getattr(*holder).to("meta") for name, holder in holders.items()}

    def forward(self, z: Tensor) -> Tensor:
        """See Decoder."""
        for stream in self._streams:
            stream.release()
        parts = {name: torch.empty_like(shape, device=self._device) for name, shape in self._shapes.items()}
        self._read(parts)
        with self._holders.holding(parts):
            [decoder] = self._decoder
            decoded: Tensor = decoder(z)
        return decoded
