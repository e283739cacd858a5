"""What every configuration refuses, in the same words."""


def at_least(name: str, value: int | float, least: int | float) -> None:
    """Refuse a number below the least allowed, and a fraction where a whole number is meant."""
    if type(least) is int and type(value) is not int:
        raise ValueError(f"{name} is {value!r}; it must be a whole number")
    if not value >= least:
        raise ValueError(f"{name} is {value}; it must be at least {least}")


def above_zero(name: str, value: int | float) -> None:
    """Refuse zero and less."""
    if not value > 0:
        raise ValueError(f"{name} is {value}; it must be above 0")


def fraction(name: str, value: float) -> None:
    """Refuse what is outside 0 to 1."""
    if not 0 <= value <= 1:
        raise ValueError(f"{name} is {value}; it must be within 0 to 1")


def one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    """Refuse a word that is not among those allowed."""
    if value not in allowed:
        raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(allowed)}")
