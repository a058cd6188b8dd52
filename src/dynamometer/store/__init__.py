"""The campaign folder: the journal that is the truth, what stands beside it, and the index over many folders."""
