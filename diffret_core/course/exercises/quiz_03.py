"""Questions at the end of notebook 03, similarity and metrics."""

from diffret_core.course.question import Choice, Question

QUIZ = (
    Question(
        "Each frame is encoded on its own. A video shows a ring, then a star. What can its mean not tell?",
        (
            Choice("That a ring and a star were there", "Both are in the mean, though each only with half its size."),
            Choice(
                "Whether they stood in different frames or shared every frame",
                "A mean keeps no places: other frames with the same sum give the same vector.",
                right=True,
            ),
            Choice("Which colours were there", "Colours stay in a mean, only fainter."),
        ),
    ),
    Question(
        "In token interaction, what does a word with weight 0 do?",
        (
            Choice(
                "Nothing at all",
                "Its own best frame does not count, but a frame may still choose it as its best word.",
            ),
            Choice("It makes the similarity 0", "Weights are shares of a sum; one of them at 0 leaves the others."),
            Choice(
                "It can still be the best word of a frame",
                "Word weights count in the words' half only. In the frames' half any real word can win.",
                right=True,
            ),
        ),
    ),
    Question(
        "Two rankers: A has ranks 1, 1, 1, 97 and B has 2, 2, 2, 2. Which number prefers B?",
        (
            Choice(
                "Mean rank", "A: 25, B: 2. One query far off moves a mean; R@1 and median do not see it.", right=True
            ),
            Choice("Median rank", "A: 1, B: 2. The median prefers A."),
            Choice("R@1", "A: 75 %, B: 0 %. Nothing prefers A more."),
        ),
    ),
    Question(
        "A new model has R@1 49.1, the old one 48.0, on the same 1,000 queries. Is it better?",
        (
            Choice("Yes: 49.1 is more than 48.0", "One standard error of such an R@1 is about 1.6 points."),
            Choice(
                "Ask for an interval of the difference, query by query",
                "Both answered the same queries; what is hard for both cancels when queries are drawn in pairs.",
                right=True,
            ),
            Choice(
                "No: their two intervals overlap",
                "They may overlap and the difference still be clear, since both answered the same queries.",
            ),
        ),
    ),
    Question(
        "Fifty checkpoints are measured on the test split, and the best is reported with its interval. What is wrong?",
        (
            Choice(
                "Nothing, the interval covers it", "The interval is that of one look; it does not know of the others."
            ),
            Choice("Fifty are too few", "More looks make it worse: the best of more lucky draws is luckier."),
            Choice(
                "R@1 should be the median rank", "Any number grows by choosing, if the same queries choose and judge."
            ),
            Choice(
                "The test split has chosen, so it cannot judge",
                "Choose on validation, then look at the test split once.",
                right=True,
            ),
        ),
    ),
)
