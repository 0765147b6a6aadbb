"""From a checkpoint to probabilities (`predict`), and from the predictions table to metric rows (`evaluate`)."""
