"""Questions at the end of notebook 00, start here."""

from diffret_core.course.question import Choice, Question

QUIZ = (
    Question(
        "Similarity puts the video that is meant at place 40; the generator looks at 32. Can it still be found?",
        (
            Choice("Yes, the generator puts it right", "It never sees that video: it chooses among the 32 proposed."),
            Choice(
                "No",
                "What similarity leaves out is lost: its recall at 32 is a ceiling on the result.",
                right=True,
            ),
        ),
    ),
    Question(
        "Where does the generator's walk begin?",
        (
            Choice("At random numbers, one per candidate", "Pure noise: another seed, other numbers.", right=True),
            Choice(
                "At the similarities", "They choose the candidates and their order, but the walk starts from noise."
            ),
            Choice("At equal numbers", "Then nothing would be random, and every seed would give the same walk."),
        ),
    ),
    Question(
        "You ask this model for a dog on a beach. What does it do?",
        (
            Choice(
                "It says that there is none", "It cannot: every sentence gets a ranking. Notebook 10 is about that."
            ),
            Choice("It stops with an error", "The sentence is readable, so it is ranked like any other."),
            Choice(
                "It ranks the videos all the same",
                "Some video is always the least unlike; only the scores are lower.",
                right=True,
            ),
        ),
    ),
)
