"""Entity tags: names of versions, so that clients are not sent what they have (RFC 9110)."""

import hashlib
import re

_TAG = re.compile(r'(?:W/)?("[^"]*")')


def etag_of(content: bytes) -> str:
    """Return the strong tag of these bytes."""
    return f'"{hashlib.sha256(content).hexdigest()[:32]}"'


def names_etag(if_none_match: str, etag: str) -> bool:
    """Return whether the header If-None-Match names the tag: by weak comparison, in a list, or as `*`."""
    return if_none_match.strip() == "*" or etag.removeprefix("W/") in _TAG.findall(if_none_match)
