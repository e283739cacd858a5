"""Questions at the end of notebook 04, contrastive training."""

from diffret_core.course.question import Choice, Question

QUIZ = (
    Question(
        "A batch has 128 pairs, and a model gives all combinations the same similarity. What is its loss?",
        (
            Choice("0: nothing is preferred wrongly", "0 would mean that every right answer has probability 1."),
            Choice("1/128", "That is the probability of each right answer; the loss is minus its logarithm."),
            Choice("ln 128, about 4.85", "Every right answer has probability 1/128, in both directions.", right=True),
        ),
    ),
    Question(
        "logit_scale rises from 5 to 100. What happens to the push on the wrong candidates of a query?",
        (
            Choice("It falls on the most similar of them", "A large scale makes the softmax sharp.", right=True),
            Choice("It is spread more evenly", "That is what a small scale does: all wrong candidates count alike."),
            Choice("It vanishes for all of them", "Only if the right one is far ahead; else the nearest gets it all."),
        ),
    ),
    Question(
        "A batch holds two captions of one video, and both count as negatives of each other. What follows?",
        (
            Choice("Nothing, the network learns to ignore it", "A loss cannot be ignored; its gradient is applied."),
            Choice(
                "What is true is pushed away, and the loss cannot reach 0",
                "The two share the probability, so each gets at most one half. A mask mends it.",
                right=True,
            ),
            Choice(
                "The video counts double, which is fair", "Counting double would be harmless; this works against it."
            ),
        ),
    ),
    Question(
        "In the live training, “rests, then moves” and “moves, then rests” stayed alike. Why?",
        (
            Choice("The training was too short", "It was short. But what the input does not hold, no training brings."),
            Choice("The learning rate was too small", "Other pairs were told apart with the same rate."),
            Choice("The temperature was wrong", "It changes how hard is pushed, not what can be seen."),
            Choice("A still shows no order", "What comes first cannot be read off one moment.", right=True),
        ),
    ),
    Question(
        "What does a large batch give the contrastive loss that a small one cannot?",
        (
            Choice("A larger learning rate", "A recipe's choice, which the loss knows nothing of."),
            Choice(
                "More wrong candidates, some of them alike by chance",
                "Every pair is compared with all others; the hard ones teach most.",
                right=True,
            ),
            Choice("Fewer duplicates", "The larger the batch, the more often a video is in it twice."),
        ),
    ),
)
