"""Questions at the end of notebook 01, videos and captions."""

from diffret_core.course.question import Choice, Question

QUIZ = (
    Question(
        "A clip of 60 s is read at 1 frame a second, F = 12. A ball is there from 2 to 4 s. Does the model see it?",
        (
            Choice("Yes: every second is looked at", "60 frames are proposed, but only F = 12 of them are kept."),
            Choice("Yes: the first 12 s are looked at", "The 12 are spread over the whole clip, up to its end."),
            Choice("No: it falls between two frames", "Those kept are at 0, 5, 10, 16 s, and so on.", right=True),
        ),
    ),
    Question(
        "A caption has 40 word pieces and W = 32. What does the model read?",
        (
            Choice("Start, the first 30 pieces, end", "Start and end take two of the 32 places.", right=True),
            Choice("The first 32 pieces", "Start and end need places too, or there is no sentence feature to read."),
            Choice("All 42 tokens", "Every text has exactly W places; what does not fit is cut off."),
        ),
    ),
    Question(
        "Why does a padded frame need a mask, if it is all zeros already?",
        (
            Choice(
                "Zeros cost computing time",
                "With or without a mask, padded slots are carried along; what matters is who listens to them.",
            ),
            Choice(
                "To the network zeros are a picture like any other",
                "Zero after normalisation is one even colour. Only the mask says that it is no frame.",
                right=True,
            ),
            Choice("Zeros would turn into NaN", "Zeros are fine numbers; a row with nothing real in it is the danger."),
        ),
    ),
    Question(
        "Somebody trains on all 10,000 videos of MSR-VTT and scores high on the 1,000 test pairs. What is wrong?",
        (
            Choice("Nothing: more data is better", "More data is better only if the test is not part of it."),
            Choice(
                "The test videos were seen in training",
                "The list of training videos exists to keep them out; the score measures memory.",
                right=True,
            ),
            Choice("1,000 pairs are too few", "They are few, and an interval says how few, but that is another fault."),
        ),
    ),
)
