"""Questions at the end of notebook 07, training the generator."""

from diffret_core.course.question import Choice, Question

QUIZ = (
    Question(
        "An estimate gives all 32 candidates the same value. What does the divergence cost?",
        (
            Choice("0: no wrong candidate is preferred", "0 would need all probability on the right one."),
            Choice("ln 32, about 3.47, at any loss scale", "All are equal, so each gets 1/32.", right=True),
            Choice("20 times ln 32 at loss scale 20", "The scale multiplies differences, and here there are none."),
        ),
    ),
    Question(
        "The right candidate has 0.6, all others 0.1; the loss scale is 20. What does each loss do?",
        (
            Choice(
                "The divergence is nearly silent, the squared error still pulls it up to 1",
                "One asks who is ahead, the other for exact values.",
                right=True,
            ),
            Choice("Both pull equally", "At a lead of 0.5 the softmax is saturated: a factor exp(10) for each rival."),
            Choice("The squared error is silent, the divergence pulls", "It is the other way round."),
        ),
    ),
    Question(
        "Why are the negatives of a step drawn from the most similar items, and not from all?",
        (
            Choice("It is faster", "Finding them costs more than drawing at random."),
            Choice("The network may only see similar items", "It can take any items; it is taught with these."),
            Choice(
                "Random ones are told apart already, and in use the rivals are the similar ones",
                "Nearly no loss means nearly no gradient.",
                right=True,
            ),
        ),
    ),
    Question(
        "At which noise levels does a trained network pay most?",
        (
            Choice("Near K: the state says nothing, only the features do", "Most noise, least help.", right=True),
            Choice("Near 0: there the answer must be exact", "There the state itself shows the answer."),
            Choice("Equally at all levels", "The state helps more, the less noise there is in it."),
        ),
    ),
    Question(
        "On its own training queries a generator is far better than on validation. What follows?",
        (
            Choice(
                "It will be as good in use, after more steps",
                "More steps on the same videos are also more to learn by heart.",
            ),
            Choice(
                "It has learned those videos partly by heart; only the other number counts",
                "So nothing is judged on what was trained on, and a frozen part is no exception.",
                right=True,
            ),
            Choice("The validation split is too hard", "Both are drawn in the same way from the same kinds of scenes."),
        ),
    ),
)
