"""The loop over a plan's steps, and its policies, each a small pure decision."""
