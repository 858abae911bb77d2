"""The warm-up of a network's fused regions: every kernel is compiled before the first request."""

import logging
import time
from collections.abc import Callable

import torch

from danqing.hunyuan_image3.errors import CompilationFailed
from danqing.hunyuan_image3.fusion import Region, fuse
from danqing.hunyuan_image3.model import HunyuanImage3
from danqing.hunyuan_image3.sampler import Conditions

logger = logging.getLogger(__name__)

# The compiler's own text may hold whole source files; the log has it.
MAX_REASON_CHARACTERS = 500
# Any will do: kernels depend on neither.
TOKEN_ID = 0
CONDITIONS = Conditions(torch.tensor(1000.0), torch.tensor(900.0), 1.0)


@torch.inference_mode()
def warm_up(
    model: HunyuanImage3, *, height: int, width: int, on_progress: Callable[[int, int], None] = lambda *_: None
) -> None:
    """Fuse one region after the other, each time with a step of an image of `height` x `width` tokens and one of text.

    Both pass every layer on its device, and no prompt or size needs other kernels afterwards.
    `on_progress(done, total)` counts regions, from 0 on. Raises CompilationFailed.
    """
    regions = list(Region)
    fuse(())
    branch = model.branch([TOKEN_ID], height=height, width=width)
    p = model.config.patch_size
    latent = torch.zeros(1, model.config.vae.latent_channels, height * p, width * p, device=model.device)
    for done, region in enumerate(regions):
        on_progress(done, len(regions))
        start = time.perf_counter()
        fuse(regions[: done + 1])
        try:
            model.velocity(latent, CONDITIONS, [branch])
            model.next_token_logits(model.read([TOKEN_ID], model.new_cache(1)))
        except torch._dynamo.exc.TorchDynamoException as error:
            logger.exception("region %s does not compile", region)
            reason = " ".join(str(error).split())[:MAX_REASON_CHARACTERS]
            raise CompilationFailed(f"region {region}: {reason}") from error
        logger.info("compiled %s, %d of %d, in %.1f s", region, done + 1, len(regions), time.perf_counter() - start)
    on_progress(len(regions), len(regions))
