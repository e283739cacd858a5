"""Questions at the end of notebook 06, the denoiser."""

from diffret_core.course.question import Choice, Question

QUIZ = (
    Question(
        "A text asks 32 candidate videos. How many different pooled vectors z does the network get?",
        (
            Choice("One", "Pooling is over the frames of one video; each candidate keeps a vector of its own."),
            Choice(
                "32, the same for every text", "Another text weighs the frames otherwise, so it gets other vectors."
            ),
            Choice("32, made for this text", "Each video is pooled by its attention to the sentence.", right=True),
        ),
    ),
    Question(
        "What happens to the weights w if 5 is added to every entry of x_k?",
        (
            Choice("Nothing", "A softmax does not feel a number that is added to all its logits.", right=True),
            Choice("They grow by 5", "Weights are shares; they always sum to 1."),
            Choice("The largest comes closer to 1", "That would be multiplying the logits, not adding to them."),
        ),
    ),
    Question(
        "The candidates are shuffled, and x_k with them. What does the network return?",
        (
            Choice(
                "The same numbers, shuffled alike",
                "Nothing in the network asks where in the list a candidate stands: it is equivariant.",
                right=True,
            ),
            Choice(
                "The same numbers in the old order", "That would be invariant. Here each number goes with its item."
            ),
            Choice("Other numbers", "A code for positions in the list would do that. This network has none."),
        ),
    ),
    Question(
        "In training the positive always stands at index 0. Why does the network not learn to answer 0?",
        (
            Choice("Its noise hides the index", "Noise hides values, not places; a position code would still tell."),
            Choice("It sees no index", "No layer sees the place of a candidate, only its vector and x_k.", right=True),
            Choice("The encoders are frozen", "The denoiser is trained, and could learn it, if it saw the place."),
        ),
    ),
    Question(
        "You want to know whether the network uses x_k. Which test says most?",
        (
            Choice("Its loss is low", "It can be low from query and candidates alone."),
            Choice(
                "Change only x_k, and see how far the output moves",
                "All else is kept, so what moves is due to x_k.",
                right=True,
            ),
            Choice("x_k stands in the formula", "A term can be there and be small beside the others."),
        ),
    ),
)
