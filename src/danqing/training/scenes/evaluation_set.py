"""The prompts that judge a checkpoint: scenes of pairs that no training picture shows. Knows nothing of models."""

from dataclasses import dataclass
from random import Random

from danqing.training.scenes.captions import caption
from danqing.training.scenes.scene import Scene, sample_scene


@dataclass(frozen=True, kw_only=True)
class EvaluationPrompt:
    """A prompt, what must be seen, and the scene it was written for (places, colours, things worn)."""

    prompt: str
    nouns: tuple[str, ...]
    background: str
    scene: Scene


def evaluation_prompts(num_prompts: int = 200, *, seed: int = 0, aspect: float = 1.0) -> list[EvaluationPrompt]:
    """Return the same prompts for the same arguments."""
    rng = Random(seed)
    prompts = []
    for _ in range(num_prompts):
        scene = sample_scene(rng, aspect, split="held_out")
        nouns = tuple(dict.fromkeys(item.noun for item in scene.objects))
        prompts.append(
            EvaluationPrompt(prompt=caption(scene, rng), nouns=nouns, background=scene.background, scene=scene)
        )
    return prompts
