"""The `Noun` record and short constructors for the lists of things and creatures.

Anchors are measured on the emoji: x, y and width as fractions of the glyph's tight box. `eyes` is the middle of the
sunglasses, `crown` the middle of a hat's lower edge. A noun with eyes may wear things; a hat needs a bare head.

The constructors take Chinese names as one string, separated by spaces.
"""

from dataclasses import dataclass

Anchor = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class Noun:
    """One drawable thing: an emoji, or a shape or support painted by code when `glyph` is empty."""

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
    """A noun that stands or lies; `per` is its measure word."""
    names = tuple(chinese.split())
    return Noun(name=name, glyph=glyph, chinese=names, measure_word=per, synonyms=synonyms, plural=plural, hue=hue)


def flyer(
    name: str, glyph: str, chinese: str, *synonyms: str, per: str = "个", plural: str = "", hue: str | None = None
) -> Noun:
    """A noun that is seen in the air."""
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
    """A noun that may wear things: mostly animals, hence the measure word."""
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
