"""Questions at the end of notebook 09, evaluation."""

from diffret_core.course.question import Choice, Question

QUIZ = (
    Question(
        "Combined minus similarity is +1.4 points, with a paired 95 % interval from -0.3 to 3.1. What holds?",
        (
            Choice("The generator helps", "0 is inside: the sign itself is not known."),
            Choice("The generator does nothing", "The interval holds gains of three points, too."),
            Choice(
                "These queries and seeds do not decide it",
                "It is reported like any other result, with its interval.",
                right=True,
            ),
        ),
    ),
    Question(
        "Combined is clearly better than the similarity. Why does that not show that diffusion helps?",
        (
            Choice(
                "Any trained network of that size might have gained as much",
                "Only the same network without noise, trained and used alike, can tell.",
                right=True,
            ),
            Choice("The intervals of both overlap", "The comparison is paired; separate intervals decide nothing."),
            Choice("R@1 is a bad measure", "It may be; but this holds for every measure."),
        ),
    ),
    Question(
        "Arm A is clearly above the similarity, arm B is not. Is A better than B?",
        (
            Choice("Yes: one is shown to help, the other is not", "B may be just short of it, and close behind A."),
            Choice(
                "Only the paired interval of A minus B can say",
                "Clear against unclear is not a clear difference.",
                right=True,
            ),
            Choice("No", "It may be. That interval was not shown."),
        ),
    ),
    Question(
        "Weight and temperature are chosen among 54 pairs. Where, and for whom?",
        (
            Choice("On test, for the new method only", "Two leaks: it sees the test, and it alone gets 54 tries."),
            Choice(
                "On validation, for the new method only", "The others had one try each: part of its gain is tuning."
            ),
            Choice(
                "On validation, with the same 54 trials for every arm",
                "Then nobody has seen the test, and nobody had more tries.",
                right=True,
            ),
        ),
    ),
    Question(
        "Of the targets, 76 % are among the first 32 of the similarity. What may a re-ranker of 32 reach?",
        (
            Choice("R@1 of at most 76", "What is not among the candidates cannot be put first.", right=True),
            Choice("R@1 of 100, if it is good enough", "It never sees the other 24 %."),
            Choice("Nothing can be said without the gallery's size", "The ceiling holds whatever that size is."),
        ),
    ),
    Question(
        "31 arms are compared with the baseline, all truly equal. How many 95 % intervals lie off 0 by chance?",
        (
            Choice("None", "Each has a chance of about one in twenty."),
            Choice("One or two, on average", "So a single clear row among many is a lead, no proof.", right=True),
            Choice("About half", "That many would be above 0, and as many below, but hardly any clearly."),
        ),
    ),
)
