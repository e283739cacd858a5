"""Questions at the end of notebook 12, full training and benchmarks."""

from diffret_core.course.question import Choice, Question

QUIZ = (
    Question(
        "Your run finds 47.5 where the paper has 49.0, on the same 1,000 test queries. What follows?",
        (
            Choice("Your run is worse by 1.5 points", "One standard error of either number is 1.6 points already."),
            Choice(
                "Nothing yet: chance alone often moves a number by as much",
                "Only a comparison query by query could tell, and the paper's hits are not published.",
                right=True,
            ),
            Choice("The paper's number is wrong", "It lies well inside the interval around yours."),
        ),
    ),
    Question(
        "30 of the 1,000 test videos could not be downloaded, and are left out with their captions. R@1 ...",
        (
            Choice("falls: 30 targets are missing", "Their captions are left out too, so nobody asks for them."),
            Choice("stays: 970 are enough for a mean", "The mean is fine; but each query has fewer rivals."),
            Choice(
                "rises a little, and compares with no other",
                "Fewer rivals. That is why gallery_size stands beside every metric.",
                right=True,
            ),
        ),
    ),
    Question(
        "The model of a run is the one that did best of 100 looks at the test. What is wrong with its R@1?",
        (
            Choice(
                "It is too high by an unknown amount: the best look had good luck as well",
                "How much depends on how alike the looks are. A validation split takes the bias off the test.",
                right=True,
            ),
            Choice("Nothing: all looks used the same test", "So their luck is alike in part, but the best had most."),
            Choice("It is too low: most looks were early", "Early looks are not chosen."),
        ),
    ),
    Question(
        "A batch of 128 does not fit. You take 4 batches of 32 and add up their gradients. What changes?",
        (
            Choice(
                "Nothing: gradients add up", "Those of a mean over rows do. This loss compares rows with each other."
            ),
            Choice(
                "The loss: 31 wrong candidates for a query, not 127",
                "An easier question, another gradient.",
                right=True,
            ),
            Choice("Only the speed", "The number of comparisons falls to a quarter, and with it what is learned."),
        ),
    ),
    Question(
        "Why does the published rate of 1e-7 for CLIP's weights not carry over to single precision?",
        (
            Choice("Single precision cannot hold 1e-7", "It can, beside weights up to 1 and above."),
            Choice(
                "In half precision most such steps are lost; here every step counts",
                "So the two train differently at the same rate, and validation has to choose.",
                right=True,
            ),
            Choice("Single precision needs a larger batch", "Precision and batch size are separate things."),
        ),
    ),
)
