"""Training: stage 1 with the contrastive loss, stage 2 with the generation loss, and the run that does both."""
