"""What a noun of the world is, and short ways to write one down. Knows no particular noun.

Anchors are read off the emoji: x, y, width as fractions of the glyph's tight box. `eyes` is the middle of the
sunglasses, `crown` the middle of the lower edge of a hat. A noun with eyes may wear things, hats only on a bare head.

The helpers take the Chinese names as one string, parted by spaces.
"""

from dataclasses import dataclass

Anchor = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class Noun:
    """One thing that can be drawn: an emoji, or what we paint ourselves (a shape, a support) when `glyph` is empty."""

    name: str
    glyph: str
    chinese: tuple[str, ...]  # Without the measure word.
    measure_word: str = "个"
    synonyms: tuple[str, ...] = ()
    plural: str = ""
    flies: bool = False
    hue: str | None = None  # The colour of the glyph where it can be repainted.
    eyes: Anchor | None = None
    crown: Anchor | None = None
    recline_degrees: float | None = None  # How far it leans back on a sun lounger, where it can lie on one.

    @property
    def is_shape(self) -> bool:
        return not self.glyph

    @property
    def wears_things(self) -> bool:
        return self.eyes is not None


def thing(
    name: str, glyph: str, chinese: str, *synonyms: str, per: str = "个", plural: str = "", hue: str | None = None
) -> Noun:
    """What stands or lies; `per` is its measure word."""
    names = tuple(chinese.split())
    return Noun(name=name, glyph=glyph, chinese=names, measure_word=per, synonyms=synonyms, plural=plural, hue=hue)


def flyer(
    name: str, glyph: str, chinese: str, *synonyms: str, per: str = "个", plural: str = "", hue: str | None = None
) -> Noun:
    """What is seen in the air."""
    return Noun(
        name=name,
        glyph=glyph,
        chinese=tuple(chinese.split()),
        measure_word=per,
        synonyms=synonyms,
        plural=plural,
        flies=True,
        hue=hue,
    )


def wearer(
    name: str,
    glyph: str,
    chinese: str,
    *synonyms: str,
    eyes: Anchor,
    crown: Anchor | None,
    recline: float | None = None,
    per: str = "只",
    plural: str = "",
) -> Noun:
    """Who may wear things: mostly animals, hence the measure word."""
    return Noun(
        name=name,
        glyph=glyph,
        chinese=tuple(chinese.split()),
        measure_word=per,
        synonyms=synonyms,
        plural=plural,
        eyes=eyes,
        crown=crown,
        recline_degrees=recline,
    )
