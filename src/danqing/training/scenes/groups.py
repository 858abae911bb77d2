"""Several things and how they stand to each other, as one English phrase. Knows nothing of places, moods or styles."""

from random import Random

from danqing.training.scenes.phrases import counted, described, side, sign, worn
from danqing.training.scenes.scene import Arrangement, Scene, SceneObject


def things(scene: Scene, rng: Random, *, sides: bool = True) -> str:
    """All the things with what they wear and where they are: "a big dog on the left and a red car on the right".

    Nothing for an empty place.
    """
    items = scene.objects
    match scene.arrangement:
        case Arrangement.EMPTY:
            return ""
        case Arrangement.SIGN:
            return sign(scene, rng)
        case Arrangement.COUNT:
            return counted(scene, rng) + worn(items[0], rng, joint=" wearing ", plural=True)
        case Arrangement.ABOVE:
            return _above(items, rng)
        case Arrangement.ON:
            support, thing = (described(item, rng) for item in items)
            return f"{thing} {rng.choice(('on', 'on top of', 'standing on'))} {support}"
        case Arrangement.IN_FRONT:
            rear, front = (described(item, rng) for item in items)
            return f"{front} in front of {rear}" if rng.random() < 0.8 else f"{rear} behind {front}"
        case Arrangement.BESIDE:
            return _pair(items, rng)
        case Arrangement.ROW:
            return _row(items, rng)
        case Arrangement.SINGLE:
            return described(items[0], rng) + (side(scene, items[0], rng) if sides else "")


def _above(items: tuple[SceneObject, ...], rng: Random) -> str:
    upper, lower = (described(item, rng) for item in items)
    if rng.random() < 0.7:
        return f"{upper} {rng.choice(('above', 'over', 'above'))} {lower}"
    return f"{lower} {rng.choice(('below', 'under', 'beneath'))} {upper}"


def _pair(items: tuple[SceneObject, ...], rng: Random) -> str:
    one, other = (described(item, rng) for item in items)
    pick = rng.random()
    if pick < 0.30:
        return f"{one} on the left and {other} on the right"
    if pick < 0.38:
        return f"{other} on the right and {one} on the left"
    if pick < 0.48:
        return f"{one} {rng.choice(('to the left of', 'left of'))} {other}"
    if pick < 0.58:
        return f"{other} {rng.choice(('to the right of', 'right of'))} {one}"
    if pick < 0.76:
        return f"{one} {rng.choice(('next to', 'beside', 'next to'))} {other}"
    return f"{one} {rng.choice(('and', 'and', 'with'))} {other}"


def _row(items: tuple[SceneObject, ...], rng: Random) -> str:
    texts = [described(item, rng) for item in items]
    if rng.random() < 0.4:
        spots = ("on the left", "in the middle", "on the right")
        texts = [f"{text} {spot}" for text, spot in zip(texts, spots, strict=True)]
    return ", ".join(texts[:-1]) + " and " + texts[-1]
