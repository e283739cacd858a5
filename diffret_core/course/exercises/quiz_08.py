"""Questions at the end of notebook 08, sampling."""

from diffret_core.course.question import Choice, Question

QUIZ = (
    Question(
        "A step of DDIM goes from level k to k-1. What is mixed in it?",
        (
            Choice("The guess and fresh noise", "That is eta > 0. Plain DDIM draws no noise after the start."),
            Choice(
                "The guess, and the noise that would explain x_k if the guess were right",
                "Both are weighted anew: a little more signal, a little less noise.",
                right=True,
            ),
            Choice(
                "x_k and x_K",
                "The start does not come back; what is left of its noise is worked out from x_k each time.",
            ),
        ),
    ),
    Question(
        "Two candidates end a walk with exactly 1. How can that happen?",
        (
            Choice(
                "Both guesses were above 1 at the last step and were cut off",
                "The last state is the clamped guess itself. In a metric, such a tie counts against the target.",
                right=True,
            ),
            Choice(
                "Their features must be equal", "Then they would tie at any value; at exactly 1 the clamp is enough."
            ),
            Choice("It cannot: noise makes all states different", "At level 0 no noise is left in the state."),
        ),
    ),
    Question(
        "Walks of 10 and of 50 steps differ by 0.3 points of R@1, with a paired interval from -1.2 to 1.8. What holds?",
        (
            Choice(
                "10 steps are as good as 50", "The interval also holds differences of a point; equal was not shown."
            ),
            Choice("50 steps are better by 0.3 points", "0 is inside the interval: the sign itself is not known."),
            Choice(
                "These queries cannot tell them apart",
                "A null result: said plainly, with its interval. More queries might show a difference.",
                right=True,
            ),
        ),
    ),
    Question(
        "For a text query, the term u M c_k is left out of the logits. Why is the answer still exact?",
        (
            Choice("It is small", "It may be large. Its size does not matter."),
            Choice(
                "It is the same for all candidates, and a softmax does not see that",
                "For a video query it differs from candidate to candidate, and stays.",
                right=True,
            ),
            Choice("The network learns to do without it", "Nothing is trained anew: same weights, same answer."),
        ),
    ),
    Question(
        "Which property lets c_k leave the sum over the candidates' values?",
        (
            Choice(
                "The weights are positive", "Positive weights could sum to anything; c_k would be multiplied by it."
            ),
            Choice(
                "c_k is the same for every query", "That saves computing it again; it does not take it out of a sum."
            ),
            Choice(
                "The weights sum to 1",
                "The sum over j of w_j c_k is then c_k itself, whatever the state has done to the weights.",
                right=True,
            ),
        ),
    ),
    Question(
        "The fast step needs about 500 times fewer operations, yet a whole walk is not 500 times faster. Why?",
        (
            Choice(
                "G, H and the logits must be prepared, and read from memory at every step",
                "Preparing a query takes about two thirds of a plain step; then memory and overhead decide.",
                right=True,
            ),
            Choice("The approximation has to be corrected", "There is none: the two agree up to rounding."),
            Choice("The network still runs once per step", "It does not; only sums over prepared rows do."),
        ),
    ),
)
