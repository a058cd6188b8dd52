"""Records become numbers here: metrics of one run, estimates over cycles, and doubts. Pure."""
