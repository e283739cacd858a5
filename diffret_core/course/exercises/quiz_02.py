"""Questions at the end of notebook 02, encoders."""

from diffret_core.course.question import Choice, Question

QUIZ = (
    Question(
        "CLIP ViT-B/32 reads pictures of 224 x 224 pixels. How many tokens enter its transformer?",
        (
            Choice("49", "49 patches, 7 x 7, but the class token in front of them is missing."),
            Choice(
                "50: 7 x 7 patches and the class token", "The picture's vector is read off the class token.", right=True
            ),
            Choice("1,024, one for each pixel of a patch", "1,024 pixels make one patch, and a patch is one token."),
        ),
    ),
    Question(
        "Only the last word of a sentence is exchanged. Which word features change?",
        (
            Choice(
                "All of them",
                "Attention is causal: what stands before the last word cannot hear it.",
            ),
            Choice("Those of the last word and of the end token", "Only they come late enough to hear it.", right=True),
            Choice("Only that of the last word", "The end token listens to all words, the last one among them."),
        ),
    ),
    Question(
        "A video is played backwards, and its frames are encoded one by one. What can sums and maxima of cosines see?",
        (
            Choice("That time runs backwards", "Each vector knows its own picture only; nobody wrote down its place."),
            Choice("That the last frame comes first", "Maxima and sums over frames do not ask for their order."),
            Choice(
                "Nothing: it gets the same vectors", "A sum does not change when its terms change places.", right=True
            ),
        ),
    ),
    Question(
        "Why can the temporal transformer start from CLIP's text transformer?",
        (
            Choice(
                "It has blocks of the same size, and knows how to read a row in order",
                "Same shapes, and positions that mean early and late. All else it learns.",
                right=True,
            ),
            Choice("Frames and words are the same to CLIP", "They go through different towers, and meet at the end."),
            Choice(
                "It must not be trained any more", "It is trained in stage 1, at a higher rate than CLIP's own weights."
            ),
        ),
    ),
)
