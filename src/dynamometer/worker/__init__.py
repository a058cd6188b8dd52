"""Runs one step on the machine that has the accelerator: a folder with step.json in, a record or a failure out."""
