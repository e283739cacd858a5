"""Questions at the end of notebook 10, off the map."""

from diffret_core.course.question import Choice, Question

QUIZ = (
    Question(
        "A gain on the shifted list is +1.3 points, 95 % interval -0.3 to 3.3. What may be said?",
        (
            Choice("The generator helps there", "0 is inside the interval: as much can be chance."),
            Choice("The generator does nothing there", "The interval also holds +3. It is not decided, not zero."),
            Choice("300 queries have not decided it", "More queries, or more seeds, might.", right=True),
        ),
    ),
    Question(
        "The gain is clear on one list and not decided on another. Is it larger on the first?",
        (
            Choice("Yes, one is clear and the other is not", "Two verdicts are no comparison of the two numbers."),
            Choice("Only an interval of the difference can say", "Resample both lists and subtract.", right=True),
            Choice("No, both intervals overlap", "Intervals may overlap although their difference is clear."),
        ),
    ),
    Question(
        "A score has an AUROC of 0.5 on some kind of unmatched query. What does that mean?",
        (
            Choice("Half of them are found", "How many are found depends on a threshold. AUROC has none."),
            Choice("An unmatched one scores higher in half of the pairs, as by a coin", "No use at all.", right=True),
            Choice("The score is turned round", "Then it would lie below 0.5, and its negative above."),
        ),
    ),
    Question(
        "The threshold lets 95 of 100 matched queries pass, and 60 of 100 near misses. What do the 60 tell a user?",
        (
            Choice("A result that is not flagged can be trusted", "Most near misses are not flagged either."),
            Choice("No flag says little about near misses", "More than half of them carry no flag.", right=True),
            Choice("40 % of the flags are wrong", "That depends on how many near misses are asked."),
        ),
    ),
    Question(
        "Why is a near miss hard to tell from a query that has an answer?",
        (
            Choice("Its words are unknown to the model", "All of its words are known; only their combination is not."),
            Choice("Some video shows nearly all of what it says", "So its best similarity is high.", right=True),
            Choice("It is longer", "It has as many words as before, or nearly."),
        ),
    ),
    Question(
        "You try twelve scores on the test queries and report the AUROC of the best. What is wrong?",
        (
            Choice("Nothing, AUROC needs no threshold", "Choosing a score is a choice too, and luck takes part in it."),
            Choice(
                "It was chosen on what it is judged on", "Choose on validation, then read the test once.", right=True
            ),
            Choice("Twelve are too few", "The more are tried, the more luck helps the best of them."),
        ),
    ),
)
