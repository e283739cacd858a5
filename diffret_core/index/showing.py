"""Paths and times as a person reads them."""


def shown_path(path: str) -> str:
    """Write a path so that it can be printed anywhere: what is no letter, digit, sign or space becomes its code.

    Names of files may hold line breaks, a terminal's commands and bytes that are no text at all.
    """
    return "".join(one if one.isprintable() else _code_of(one) for one in path)


def shown_seconds(seconds: float | int) -> str:
    """Write a time in a video as players do: 4:07, or 1:02:03."""
    hours, rest = divmod(int(seconds), 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


def _code_of(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
