"""What a sample scene can show: the closed lists that drawing, captions and the truth function share."""

SHAPES: tuple[str, ...] = ("circle", "square", "triangle", "star", "heart", "diamond", "cross", "ring", "moon")

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (221, 44, 52),
    "orange": (248, 132, 24),
    "yellow": (253, 212, 28),
    "green": (44, 160, 74),
    "blue": (38, 98, 220),
    "purple": (132, 62, 184),
    "pink": (246, 118, 182),
    "black": (34, 34, 40),
    "white": (252, 252, 252),
}

BACKGROUNDS: dict[str, tuple[int, int, int]] = {
    "grey": (172, 176, 184),
    "light blue": (158, 205, 240),
    "light green": (172, 222, 172),
    "pink": (246, 198, 212),
    "beige": (232, 212, 176),
    "dark blue": (30, 42, 84),
}
"""Name and middle colour; the drawing lightens and darkens it into a soft gradient."""

HIDDEN: frozenset[tuple[str, str]] = frozenset(
    {("pink", "pink"), ("black", "dark blue"), ("blue", "dark blue"), ("purple", "dark blue"), ("white", "pink")}
    | {("white", "beige"), ("yellow", "beige"), ("white", "light blue"), ("white", "light green")}
)
"""Pairs of object colour and background that are too close to see."""

UNSEEN_PAIRS: frozenset[tuple[str, str]] = frozenset(
    {("circle", "purple"), ("square", "pink"), ("triangle", "yellow"), ("star", "blue"), ("heart", "green")}
    | {("diamond", "red"), ("cross", "white"), ("ring", "orange"), ("moon", "black")}
)
"""Shape and colour that no object has together outside the split of that name; each shape and each colour is in one."""

STYLES: tuple[str, ...] = ("plain", "shifted")
"""How a scene is drawn: as in training, or with other textures, palettes and outlines."""

RADII: dict[str, float] = {"small": 0.10, "medium": 0.15, "large": 0.21}
"""Radius as a fraction of the frame's width; "medium" is never said in a caption."""

TRAVELS: dict[str, tuple[int, int]] = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
"""Motions along a line and their direction in the frame (y points down)."""

MOTIONS: tuple[str, ...] = (*TRAVELS, "still", "bounce", "spin", "grow", "shrink", "loop")

ROUND: frozenset[str] = frozenset({"circle", "ring"})
"""Shapes whose turning nobody can see."""

RELATIONS: dict[str, tuple[int, int]] = {"above": (0, -1), "below": (0, 1), "left of": (-1, 0), "right of": (1, 0)}
"""Relation of the first object to the second, and the direction in which the first lies."""
