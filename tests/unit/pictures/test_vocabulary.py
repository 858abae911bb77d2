"""The words of a prompt that a checkpoint was not trained on."""

import pytest

from danqing.pictures.vocabulary import MAX_NAMED_WORDS, Vocabulary

WORDS = "fox foxes cat cherry wolf t-rex t rex snow bowl table red run policeman sun lantern beautiful"
VOCABULARY = Vocabulary("mini", frozenset(WORDS.split()))


@pytest.mark.parametrize(
    ("prompt", "unknown"),
    [
        ("A bowl of ramen with chopsticks on a table", ("ramen", "chopsticks")),
        ("ramen", ("ramen",)),
        ("Ramen! RAMEN, ramen...", ("ramen",)),
        ("a red fox in the snow", ()),
        # Plurals and other forms.
        ("two cats, cherries and wolves", ()),
        ("policemen running in the sunny snow", ()),
        ("The cat's table", ()),
        ("T-Rexes, a t rex and a snow-red-cat", ()),
        ("a samurai-cat", ("samurai-cat",)),
        # What a sign says is drawn as letters.
        ('a red cat with "RAMEN"', ()),
        ("a red cat with a sign 'ramen bar'", ("sign",)),
        ("a red cat with “noodles”", ()),
        ("the cat's bowl isn't red", ()),
        # Other languages, and what is no prose.
        ("一只猫在沙滩上吃拉面", ()),
        ("a cat eating 拉面", ()),
        ("Ein roter Fuchs im Schnee", ()),
        ("un renard rouge dans la neige", ()),
        ("un gato con sombrero en la playa", ()),
        ("röd katt", ()),
        ("lorem ipsum dolor sit amet consectetur", ()),
        ("", ()),
        ("4k 8k 1234 !!", ()),
    ],
)
def test_unknown_words_of_english_prompts_are_named_and_nothing_silly(prompt, unknown):
    assert VOCABULARY.unknown_words(prompt) == unknown


def test_the_sentence_names_the_checkpoint_and_not_too_many_words():
    assert VOCABULARY.warning("a cat with ramen") == "mini does not know: ramen"
    assert VOCABULARY.warning("a cat") is None
    many = [f"zz{letter}" for letter in "abcdefghij"]
    warning = VOCABULARY.warning(f"red cat fox snow bowl table sun {' '.join(many)}")
    assert warning == f"mini does not know: {', '.join(many[:MAX_NAMED_WORDS])} and 2 more"
