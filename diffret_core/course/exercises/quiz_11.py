"""Questions at the end of notebook 11, the demo."""

from diffret_core.course.question import Choice, Question

QUIZ = (
    Question(
        "You move alpha. Why is the answer there at once, while other controls wait for Run?",
        (
            Choice("Alpha only changes what is drawn", "It changes the combined score, and with it the ranking."),
            Choice(
                "The walk stays as it is; only the two scores are added anew",
                "Alpha and temperature are applied to the finished sample.",
                right=True,
            ),
            Choice("The network is asked with fewer steps", "The network is not asked at all."),
        ),
    ),
    Question(
        "A video stands at place 40 by similarity, and there are 32 candidates. What can a large alpha do for it?",
        (
            Choice("Lift it to place 1", "Its generated probability is 0: it was no candidate."),
            Choice(
                "Nothing: only a candidate can be lifted",
                "Recall of the similarity at N candidates is a ceiling; only a larger N raises it.",
                right=True,
            ),
            Choice("Lift it by eight places", "It gets nothing added, however large alpha is."),
        ),
    ),
    Question(
        "With 128 candidates, the first has a generated probability of 0.1; with 2, of 0.9. What follows?",
        (
            Choice("It is nine times as certain with 2", "With 2 there was nobody else left to share with."),
            Choice("The walk failed with 128", "128 candidates share the same sum of 1."),
            Choice(
                "Little: it is a share among the candidates, not the chance of being right",
                "Only values among the same candidates can be compared.",
                right=True,
            ),
        ),
    ),
    Question(
        "An external disk is unplugged, and you index your folder again. What happens to its videos?",
        (
            Choice("They are dropped", "Only --prune does that; an unplugged disk must not empty an index."),
            Choice(
                "They are kept, marked as missing",
                "When the disk is back, nothing has to be read again.",
                right=True,
            ),
            Choice("The index becomes invalid", "It goes on serving; a result says that its file is not there."),
        ),
    ),
    Question(
        "You index your holiday films with the small model of this course. What are its rankings worth?",
        (
            Choice(
                "Nothing: it has only ever seen drawn shapes",
                "It gives numbers for anything. For real films take a CLIP model, or a DiffusionRet trained on films.",
                right=True,
            ),
            Choice("As much as on the samples", "It was trained on samples only; colours may match by chance."),
            Choice("They are right if the similarity is high", "Its similarities mean nothing for what it never saw."),
        ),
    ),
)
