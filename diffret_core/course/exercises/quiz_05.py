"""Questions at the end of notebook 05, retrieval as generation."""

from diffret_core.course.question import Choice, Question

QUIZ = (
    Question(
        "All similarities of a query fall by 0.2. What happens to its softmax over the candidates?",
        (
            Choice("It gets flatter", "Only differences between candidates count, and they have stayed the same."),
            Choice("Nothing", "The same factor is above and below the line and cancels.", right=True),
            Choice("It sums to less than 1", "A softmax sums to 1 whatever goes in."),
        ),
    ),
    Question(
        "A table holds p(candidates, query). Where is p(query)?",
        (
            Choice("In the largest entry of its row", "That says which candidate, together with how often."),
            Choice("In the sum of its row", "All ways in which the query can occur, added up.", right=True),
            Choice(
                "Nowhere, a joint is silent about queries",
                "The conditional is: it has divided each row by just this number.",
            ),
        ),
    ),
    Question(
        "Which of these is always a probability distribution?",
        (
            Choice("x_k at level 20", "Real numbers: some are negative, and their sum is what it happens to be."),
            Choice("The generated sample", "It is clamped to [-1, 1]; nothing makes it positive or sum to 1."),
            Choice("The one-hot x_0 of training", "1 at one candidate, 0 elsewhere: certainty, but one.", right=True),
        ),
    ),
    Question(
        "alpha_bar is 0.25 at some level. What does x_k consist of?",
        (
            Choice("0.25 x_0 + 0.75 ε", "alpha_bar is a share of the variance; factors are its square roots."),
            Choice("0.5 x_0 + 0.5 ε", "The noise takes sqrt(1 - 0.25), which is 0.87."),
            Choice("0.5 x_0 + 0.87 ε", "The squares of both factors sum to 1.", right=True),
        ),
    ),
    Question(
        "Two schedules reach the same ratio of signal to noise at different levels. What of x_k differs there?",
        (
            Choice(
                "Only the level's number",
                "The ratio fixes alpha_bar, and alpha_bar fixes how x_k is distributed.",
                right=True,
            ),
            Choice("The kind of noise", "It is Gaussian in both."),
            Choice(
                "How well the right candidate can be read off", "That depends on the ratio and on N, on nothing else."
            ),
        ),
    ),
    Question(
        "A training example of the generator holds a query that no candidate fits. How often does that occur?",
        (
            Choice("In about half of them", "There is no such half: every x_0 has its 1 somewhere."),
            Choice(
                "Never", "The positive is always put among the candidates, so “none” is never the answer.", right=True
            ),
            Choice("Whenever similarity fails", "Even then the positive is put in, at index 0."),
        ),
    ),
)
