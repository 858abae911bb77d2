"""Judges finished pictures. Knows nothing of files or of what happens to a flagged picture."""

from danqing.safety.verdict import NO_CHECKER, ImageVerdict, Picture


class NoImageCheck:
    """Looks at nothing and says so: for a checkpoint that ships no classifier."""

    async def check(self, raster: Picture) -> ImageVerdict:
        """Pass the picture, naming no checker."""
        del raster
        return ImageVerdict(flagged=False, checker=NO_CHECKER)
