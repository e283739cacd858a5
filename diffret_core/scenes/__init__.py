"""The sample collection's maker: scenes drawn at random, captions that are provably true of them, pictures, files.

    vocabulary -> scene -> sampling -> claims -> wording -> captions -> splits -> annotations     what is shown and said
                  scene -> drawing -> encode -> production -> manifest -> collection             what is on disk

Nothing here is needed to search, train or evaluate: the captions and the test videos are in git.
"""
