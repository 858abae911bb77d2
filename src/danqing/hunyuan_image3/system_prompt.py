"""The system prompt: the text before the user's turn, chosen by name and read from the checkpoint's own files.

Named texts stand in the folder's `system_prompt.py` as string constants. That file is parsed and never executed.
"""

import ast
import logging
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from danqing.hunyuan_image3.errors import CheckpointError
from danqing.hunyuan_image3.generation_config import NO_SYSTEM_PROMPT

logger = logging.getLogger(__name__)

# The name that `dynamic` stands for, by task; for any other task it is the caller's own text.
DYNAMIC = {"image": "en_vanilla", "recaption": "en_recaption", "think": "en_think_recaption"}
MAX_FILE_BYTES = 1024 * 1024
# Words in the name of a constant that say nothing about which text it is.
FILLER = {"t2i", "text", "to", "image", "system", "prompt", "prompts", "sys"}


def system_prompt(folder: Path, *, name: str, text: str | None, task: str) -> str | None:
    """The system prompt of this name for a published task (`image`: drawing at once); None where there is none.

    `custom` is `text`, the caller's own. Raises CheckpointError for a name that no file of the folder explains.
    """
    if name == "dynamic":
        name = DYNAMIC.get(task, "custom")
    if name.lower() == NO_SYSTEM_PROMPT.lower():
        return None
    if name != "custom":
        text = _named_text(folder, name)
    elif not text:
        logger.info("the system prompt is 'custom' and no text is given: none is used for %r", task)
    return (text or "").strip() or None


def _named_text(folder: Path, name: str) -> str:
    paths = sorted({*folder.glob("*system_prompt*.py"), *folder.glob("*/*system_prompt*.py")})
    for path in paths:
        for words, text in _constants(path):
            if words == _words(name):
                return text
    where = ", ".join(path.name for path in paths) or "the folder has no system_prompt.py"
    raise CheckpointError(
        f"{folder}: the system prompt {name!r} is asked for, and its text is not there ({where}); copy system_prompt.py"
        " of the published checkpoint into the folder, or give a text of your own ('custom'), or 'None'"
    )


def _words(name: str) -> frozenset[str]:
    """`t2i_system_prompt_en_recaption` and `en_recaption` have the same words."""
    return frozenset(re.split(r"[^a-z0-9]+", name.lower())) - FILLER - {""}


def _constants(path: Path) -> Iterator[tuple[frozenset[str], str]]:
    """The words and the text of every string that a module-level name or a key of a dictionary stands for."""
    if path.stat().st_size > MAX_FILE_BYTES:
        raise CheckpointError(f"{path}: is larger than {MAX_FILE_BYTES} bytes")
    try:
        module = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read as Python: {error}") from None
    named: dict[str, str] = {}
    for statement in module.body:
        if isinstance(statement, ast.Assign):
            targets, value = statement.targets, statement.value
        elif isinstance(statement, ast.AnnAssign) and statement.value:
            targets, value = [statement.target], statement.value
        else:
            continue
        for target in targets:
            if isinstance(target, ast.Name) and (text := _text(value, named)) is not None:
                named[target.id] = text
                yield _words(target.id), text
        if isinstance(value, ast.Dict):
            for key, entry in zip(value.keys, value.values, strict=True):
                if isinstance(key, ast.Constant) and (text := _text(entry, named)) is not None:
                    yield _words(str(key.value)), text


def _text(node: ast.expr, named: Mapping[str, str]) -> str | None:
    """The string that an expression plainly is: a constant, a sum, a name of one, the first of a list."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.Name(id=name):
            return named.get(name)
        case ast.List(elts=[first, *_]) | ast.Tuple(elts=[first, *_]):
            return _text(first, named)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            texts = _text(left, named), _text(right, named)
            return None if None in texts else "".join(filter(None, texts))
        case ast.Call(func=ast.Attribute(value=inner, attr="strip"), args=[]):
            return _text(inner, named)
    return None
