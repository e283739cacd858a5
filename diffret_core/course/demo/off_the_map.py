"""What the demo says of a sentence for which there may be no video."""

from diffret_core.indicator import OffTheMap


def off_the_map_in_words(told: OffTheMap) -> str:
    """Say whether probably no video matches a sentence, and from what that is concluded."""
    verdict = (
        "Off the map: probably no video here matches this sentence."
        if told.is_off
        else "On the map: nothing is strange about this sentence."
    )
    return (
        f"{verdict} Its strangeness, judged by {told.score}, is {told.value:.3f}; that of nearly all sentences that do "
        f"match is at most {told.threshold:.3f}."
    )
